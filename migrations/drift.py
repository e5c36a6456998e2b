"""What `generate` compares: everything in the five schemas, but for what an adopted database had before."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Literal

import sqlalchemy as sa
from alembic.operations import ops

from migrations.adoption import ADOPTED, adopted_objects
from migrations.definitions import add_differences
from migrations.tables import VERSION_SCHEMA, VERSION_TABLE
from models import SCHEMAS, Base

Kind = Literal["schema", "table", "column", "index", "unique_constraint", "foreign_key_constraint", "check_constraint"]
Parents = MutableMapping[Literal["schema_name", "table_name", "schema_qualified_table_name"], str | None]


def leave_search_path(connection: sa.Connection) -> None:
    """Take the five schemas off the search path: Alembic knows no name for what is found through it."""
    # as it is set: a schema that is still to be made counts from then on
    path = [schema.strip(' "') for schema in connection.scalar(sa.text("SHOW search_path")).split(",")]
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
        """Whether to look at what the database calls so."""
        if kind == "schema":
            return name in SCHEMAS
        if kind == "table":
            return f"{parents['schema_name']}.{name}" not in (f"{VERSION_SCHEMA}.{VERSION_TABLE}", ADOPTED)
        return True

    def include_object(
        self, found: sa.schema.SchemaItem, name: str | None, kind: Kind, reflected: bool, compare_to: Any
    ) -> bool:
        """Leave alone what only the database has and had before."""
        if not reflected or compare_to is not None:
            return True
        table = found if isinstance(found, sa.Table) else getattr(found, "table", None)
        return table is None or (kind, table.schema, table.name, name) not in self._adopted

    def add_differences(self, _context: Any, _revision: Any, scripts: list[ops.MigrationScript]) -> None:
        """Add what Alembic does not compare. With `skip_empty`, leave no script to write without any difference."""
        add_differences(self._connection, Base.metadata, scripts[0], self._adopted)
        if self._skip_empty and all(operations.is_empty() for operations in scripts[0].upgrade_ops_list):
            scripts.clear()
