"""What an adopted database had before: written down in `shared.adopted_objects`, which only such databases have.

`generate` doesn't propose to drop any of it, and no revision drops it, neither upwards nor downwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

ADOPTED: Final = "shared.adopted_objects"

Adopted = tuple[str, str, str, str]
"""Kind (as Alembic names them), schema, table and name."""


def record_existing(connection: sa.Connection, schemas: Iterable[str]) -> None:
    """Record the schemas and tables that are already there; the version table is this application's own."""
    found = connection.execute(
        sa.text(
            "SELECT 'schema', nspname, nspname, nspname FROM pg_namespace "
            "WHERE nspname = ANY(:schemas) AND nspname <> 'shared' "
            "UNION ALL SELECT 'table', schemaname, tablename, tablename FROM pg_tables "
            "WHERE schemaname = ANY(:schemas) "
            "AND (schemaname, tablename) NOT IN (('shared', 'alembic_version'), ('shared', 'adopted_objects'))"
        ),
        {"schemas": list(schemas)},
    )
    record(connection, [(kind, schema, table, name) for kind, schema, table, name in found])


def is_adopted(connection: sa.Connection, kind: str, schema: str, table: str, name: str | None = None) -> bool:
    """Whether this schema, this table, or the part of the table with this name was there before this application."""
    return (kind, schema, table, name or table) in adopted_objects(connection)


def adopted_objects(connection: sa.Connection) -> set[Adopted]:
    """Everything that was there before."""
    if connection.scalar(sa.text("SELECT to_regclass(:name)"), {"name": ADOPTED}) is None:
        return set()
    rows = connection.exec_driver_sql(f"SELECT kind, schema_name, table_name, name FROM {ADOPTED}")  # noqa: S608
    return {(kind, schema, table, name) for kind, schema, table, name in rows}


def forget_adopted(connection: sa.Connection) -> None:
    """Drop the record; the next upgrade adopts anew."""
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {ADOPTED}")


def record(connection: sa.Connection, objects: list[Adopted]) -> None:
    """Add to the record, which is made for the first of them."""
    if not objects:
        return
    if connection.scalar(sa.text("SELECT to_regclass(:name)"), {"name": ADOPTED}) is None:
        connection.exec_driver_sql(
            f"CREATE TABLE {ADOPTED} (kind text, schema_name text, table_name text, name text, "
            "CONSTRAINT pk_adopted_objects PRIMARY KEY (kind, schema_name, table_name, name))"
        )
        for target, comment in {
            f"TABLE {ADOPTED}": "What this database had before Fashion Wallet adopted it; never dropped by migrations",
            f"COLUMN {ADOPTED}.kind": "schema, table, column, index or kind of constraint, as Alembic calls it",
            f"COLUMN {ADOPTED}.schema_name": "Schema of the object",
            f"COLUMN {ADOPTED}.table_name": "Table of the object, or the object itself",
            f"COLUMN {ADOPTED}.name": "Name of the object",
        }.items():
            connection.exec_driver_sql(f"COMMENT ON {target} IS '{comment}'")
    connection.execute(
        sa.text(f"INSERT INTO {ADOPTED} VALUES (:kind, :schema, :table, :name) ON CONFLICT DO NOTHING"),  # noqa: S608
        [dict(zip(("kind", "schema", "table", "name"), found, strict=True)) for found in objects],
    )
