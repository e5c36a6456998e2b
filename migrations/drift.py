"""What `generate` compares: everything in the five schemas, but for what an adopted database had before."""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import cached_property
from typing import Any, Literal

import sqlalchemy as sa
from alembic.operations import ops

from migrations.adopted_objects import ADOPTED, adopted_objects
from migrations.definitions import Definitions, Name, Pair, add_differences, read_definitions
from migrations.examination import foreign_key_of
from migrations.tables import VERSION_SCHEMA, VERSION_TABLE
from models import SCHEMAS, Base

Kind = Literal["schema", "table", "column", "index", "unique_constraint", "foreign_key_constraint", "check_constraint"]
Parents = MutableMapping[Literal["schema_name", "table_name", "schema_qualified_table_name"], str | None]


def leave_search_path(connection: sa.Connection) -> None:
    """Take the five schemas off the search path: Alembic leaves out the schema of what it finds through the path."""
    # the setting, since a schema on it that is still to be made would count from then on
    setting, user = connection.execute(sa.text("SELECT current_setting('search_path'), current_user::text")).one()
    path = [user if schema == "$user" else schema for schema in (part.strip(' "') for part in setting.split(","))]
    if set(path).intersection(SCHEMAS):
        others = [schema for schema in path if schema not in SCHEMAS] or ["public"]
        quoted = ", ".join(connection.dialect.identifier_preparer.quote(schema) for schema in others)

        def leave(transacting: sa.Connection) -> None:
            # in each transaction: behind a pooler, others have the session next
            transacting.execute(sa.text("SELECT set_config('search_path', :path, true)"), {"path": quoted})

        sa.event.listen(connection.engine, "begin", leave)
        leave(connection)
        connection.dialect.default_schema_name = connection.scalar(sa.text("SELECT current_schema()"))


class Comparison:
    """Alembic's filters for one database. What is in its default schema, which is none of the five, is not compared."""

    def __init__(self, connection: sa.Connection, *, skip_empty: bool = False) -> None:
        self._connection = connection
        self._skip_empty = skip_empty
        self._adopted = adopted_objects(connection)

    def include_name(self, name: str | None, kind: Kind, parents: Parents) -> bool:
        """Whether to compare what has this name in the database."""
        if kind == "schema":
            return name in SCHEMAS
        if kind == "table":
            return f"{parents['schema_name']}.{name}" not in (f"{VERSION_SCHEMA}.{VERSION_TABLE}", ADOPTED)
        full_name = (parents.get("schema_name") or "", parents.get("table_name") or "", name or "")
        # one of theirs may have the name of one of ours
        return kind == "column" or ((kind, *full_name) not in self._adopted and full_name not in self._stand_ins)

    def include_object(
        self, found: sa.schema.SchemaItem, name: str | None, kind: Kind, reflected: bool, compare_to: Any
    ) -> bool:
        """Leave alone what the database had before, and what the models want where something there serves as it."""
        if compare_to is not None:
            return True
        table = found if isinstance(found, sa.Table) else getattr(found, "table", None)
        if table is None:
            return True
        if reflected:
            return (kind, table.schema, table.name, name) not in self._adopted
        if isinstance(found, sa.ForeignKeyConstraint):
            key = foreign_key_of(self._connection, table, found)
            return key is None or (kind, table.schema, table.name, key.name) not in self._adopted
        full_name = (table.schema or "", table.name, name or "")
        return kind != "index" or full_name not in self._indexes.wanted or self._indexes.serving(full_name) is None

    def compare_server_default(
        self, _context: Any, found: sa.Column[Any], _wanted: Any, had: str | None, _own: Any, wanted: str | None
    ) -> bool | None:
        """An adopted table keeps defaults of its own; everything else is left to Alembic.

        It would ask whether the next values of a sequence are equal, which they never are.
        """
        table = found.table
        if wanted is not None and had is not None and had.startswith("nextval(") and wanted.startswith("nextval("):
            return False
        return False if wanted is None and ("table", table.schema, table.name, table.name) in self._adopted else None

    def add_differences(self, _context: Any, _revision: Any, scripts: list[ops.MigrationScript]) -> None:
        """Add what Alembic does not compare. With `skip_empty`, no script is written without a difference."""
        add_differences(Base.metadata, scripts[0], self._adopted, self._definitions)
        if self._skip_empty and all(operations.is_empty() for operations in scripts[0].upgrade_ops_list):
            scripts.clear()

    @cached_property
    def _definitions(self) -> Definitions:
        return read_definitions(self._connection, Base.metadata)

    @property
    def _indexes(self) -> Pair:
        return self._definitions.indexes

    @cached_property
    def _stand_ins(self) -> set[Name]:
        return self._indexes.stand_ins()
