"""What revisions are made of: tables that are created, or adopted where the original service made them.

Revisions carry their own copy of a table's definition and never import `models`, which moves on.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable

from migrations.adopted_objects import is_adopted
from migrations.adoption import adopt, comments, create_table_indexes, table_exists
from migrations.batch import execute_all
from migrations.errors import AdoptionError, Contradiction
from migrations.examination import examine
from migrations.ownership import create_trigger, drop_triggers, free_relation, taken_names

VERSION_SCHEMA: Final = "shared"
VERSION_TABLE: Final = "alembic_version"

TOUCH: Final = "shared.touch_updated_at"
"""The trigger function that keeps `updated_at`."""


def has_schema(connection: sa.Connection, name: str) -> bool:
    """Whether there is such a schema."""
    return bool(connection.scalar(sa.text("SELECT to_regnamespace(:name) IS NOT NULL"), {"name": name}))


def create_or_adopt(table: sa.Table) -> None:
    """Create the table with its indexes and comments, or bring the existing one to the same state.

    Raises AdoptionError when rows of the existing one contradict a rule; they are never changed to fit.
    """
    connection = op.get_bind()
    if not table_exists(connection, table):
        _create(connection, table)
        return
    if contradictions := examine(connection, [table]):
        raise AdoptionError.of(contradictions)
    given = _attributes().get("timestamps_in")
    zone = given or _attributes().get("database_time_zone", "UTC")
    note(*adopt(connection, table, zone, assumed=given is None))


def create_own(table: sa.Table) -> None:
    """Create a table that the original service doesn't have.

    Raises AdoptionError where there is one of that name: it means something else.
    """
    connection = op.get_bind()
    if table_exists(connection, table):
        raise AdoptionError.of([not_ours(table)])
    _create(connection, table)


def not_ours(table: sa.Table) -> Contradiction:
    """A table of the original's own that has the name of one of ours."""
    return Contradiction(table.fullname, "is there already and is not this application's; rename it")


def _create(connection: sa.Connection, table: sa.Table) -> None:
    schema, key = table.schema or "", str(table.primary_key.name)
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    # the key's index is one among those of all tables
    if not taken_names(connection, schema, [key, *(str(index.name) for index in indexes)]):
        execute_all(connection, [CreateTable(table), *map(CreateIndex, indexes), *comments(table)])
        return
    statement = str(CreateTable(table).compile(dialect=connection.dialect))
    free = free_relation(connection, schema, key)
    connection.exec_driver_sql(statement.replace(f"CONSTRAINT {key} PRIMARY KEY", f"CONSTRAINT {free} PRIMARY KEY"))
    create_table_indexes(connection, table)
    execute_all(connection, comments(table))


def drop_unless_adopted(table: sa.Table) -> None:
    """Drop the table, rows and all; one that was adopted is the original service's and stays as it is."""
    connection = op.get_bind()
    if not is_adopted(connection, "table", table.schema or "", table.name):
        table.drop(connection)


def add_updated_at_trigger(table: sa.Table) -> None:
    """Let every UPDATE set `updated_at`, whatever it was told to write there."""
    drop_updated_at_trigger(table)
    create_trigger(
        op.get_bind(),
        table.fullname,
        f"trg_{table.name}_updated_at",
        f"CREATE TRIGGER {{name}} BEFORE UPDATE ON {{table}} FOR EACH ROW EXECUTE FUNCTION {TOUCH}()",
    )


def drop_updated_at_trigger(table: sa.Table) -> None:
    """Undo `add_updated_at_trigger`; nothing where there is no such trigger."""
    drop_triggers(op.get_bind(), table.fullname, TOUCH)


def _attributes() -> dict[str, Any]:
    config = op.get_context().config
    return {} if config is None else dict(config.attributes)


def note(*lines: str) -> None:
    """Tell whoever runs the migration, a line each."""
    notes: Any = _attributes().get("notes")
    if notes is not None:
        notes.extend(lines)


def drop_schema_if_empty(connection: sa.Connection, name: str) -> None:
    """Drop the schema unless something is left in it."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {name} RESTRICT")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "2BP01":  # dependent_objects_still_exist
            raise
