"""What revisions are made of: tables that are created, or adopted where the original service made them.

Revisions carry their own copy of a table's definition and never import `models`, which moves on.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError

from migrations.adoption import adopt, is_adopted
from migrations.adoption import table_exists as _exists
from migrations.errors import AdoptionError

VERSION_SCHEMA: Final = "shared"
VERSION_TABLE: Final = "alembic_version"

TOUCH: Final = "shared.touch_updated_at"
"""The trigger function that keeps `updated_at`."""


def has_schema(connection: sa.Connection, name: str) -> bool:
    """Whether there is such a schema."""
    return bool(connection.scalar(sa.text("SELECT to_regnamespace(:name) IS NOT NULL"), {"name": name}))


def create_or_adopt(table: sa.Table) -> None:
    """Create the table with its indexes and comments, or bring the existing one to the same state.

    Raises AdoptionError when rows of the existing one contradict a constraint; they are never changed to fit.
    """
    connection = op.get_bind()
    if _exists(connection, table):
        note(*adopt(connection, table))
    else:
        table.create(connection)


def create_own(table: sa.Table) -> None:
    """Create a table that the original service had no like of.

    Raises AdoptionError where there is one of that name: it means something else.
    """
    connection = op.get_bind()
    if _exists(connection, table):
        raise AdoptionError(f"{table.fullname} is there already and is not this application's; rename it")
    table.create(connection)


def drop_unless_adopted(table: sa.Table) -> None:
    """Drop the table, rows and all; one that was adopted is the original service's and stays as it is."""
    connection = op.get_bind()
    if not is_adopted(connection, "table", table.schema or "", table.name):
        table.drop(connection)


def add_updated_at_trigger(table: sa.Table) -> None:
    """Let every UPDATE set `updated_at`, whatever it was told to write there."""
    drop_updated_at_trigger(table)
    op.execute(
        f"CREATE TRIGGER trg_{table.name}_updated_at BEFORE UPDATE ON {table.fullname} "
        f"FOR EACH ROW EXECUTE FUNCTION {TOUCH}()"
    )


def drop_updated_at_trigger(table: sa.Table) -> None:
    """Undo `add_updated_at_trigger`; nothing where there is no such trigger."""
    op.execute(f"DROP TRIGGER IF EXISTS trg_{table.name}_updated_at ON {table.fullname}")


def note(*lines: str) -> None:
    """Tell whoever runs the migration, a line each."""
    config = op.get_context().config
    notes: Any = config.attributes.get("notes") if config is not None else None
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
