"""Adopting the tables of the original service: rows stay, what is missing is added, what is in excess is left alone.

What an adopted database has beyond this application's tables (its own tables, columns, indexes, constraints) is
recorded (`migrations/adopted_objects.py`) and neither dropped nor renamed, also where it has the name of one of ours.
`migrations/examination.py` has found out before that the rows keep the rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.schema import (
    AddConstraint,
    CreateColumn,
    CreateIndex,
    ExecutableDDLElement,
    SetColumnComment,
    SetTableComment,
)

from migrations.adopted_objects import Adopted, record
from migrations.batch import execute_all
from migrations.conversion import conversion
from migrations.examination import Column, columns_of, default_of, foreign_key_of, wanted_type
from migrations.ownership import create_check, create_indexes, free_constraint

ACTIONS: Final = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


def adopt(connection: sa.Connection, table: sa.Table, zone: str, *, assumed: bool) -> list[str]:
    """Bring the existing table to the definition. Timestamps without a time zone are read as of `zone`, which was given
    or is `assumed`.

    Returns one line for each thing that whoever runs the migration should know.
    """
    connection.exec_driver_sql(f"LOCK TABLE {table.fullname} IN ACCESS EXCLUSIVE MODE")
    record(connection, [("table", table.schema or "", table.name, table.name), *_existing(connection, table)])
    lines: list[str] = []
    naive: list[str] = []
    found = columns_of(connection, table)
    for column in table.columns:
        if (existing := found.get(column.name)) is None:
            _alter(connection, table, f"ADD COLUMN {CreateColumn(column).compile(dialect=connection.dialect)}")
            continue
        if existing.is_naive_timestamp:
            naive.append(column.name)
        _convert(connection, table, column, existing, zone)
        lines += _require(connection, table, column, existing)
    if naive:
        source = ", which the database says; --timestamps-in tells another" if assumed else ""
        lines.append(f"{table.fullname}: {', '.join(naive)} had no time zone and were read as of {zone}{source}")
    if not _primary_key(connection, table):
        connection.execute(AddConstraint(table.primary_key))
    for constraint in sorted(table.constraints, key=lambda constraint: str(constraint.name)):
        if isinstance(constraint, sa.ForeignKeyConstraint):
            lines += _adopt_foreign_key(connection, table, constraint)
        elif isinstance(constraint, sa.CheckConstraint):
            create_check(connection, table.fullname, str(constraint.name), str(constraint.sqltext))
    create_table_indexes(connection, table)
    execute_all(connection, comments(table))
    return [*lines, *_required_extras(connection, table)]


def table_exists(connection: sa.Connection, table: sa.Table) -> bool:
    """Whether the database has a table of that name."""
    return bool(existing(connection, [table]))


def existing(connection: sa.Connection, tables: Collection[sa.Table]) -> list[sa.Table]:
    """Those of the tables that the database has; a view of that name counts."""
    query = sa.text(
        "SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE relkind IN ('r', 'p', 'f', 'v', 'm') AND relname = ANY(:names)"
    )
    found = {tuple(row) for row in connection.execute(query, {"names": [table.name for table in tables]})}
    return [table for table in tables if (table.schema, table.name) in found]


def create_table_indexes(connection: sa.Connection, table: sa.Table) -> None:
    """Create the table's indexes, under names that are free."""
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    statements = {str(index.name): str(CreateIndex(index).compile(dialect=connection.dialect)) for index in indexes}
    create_indexes(
        connection,
        table.fullname,
        {name: statement.partition(f" ON {table.fullname} ")[2] for name, statement in statements.items()},
        unique={str(index.name) for index in indexes if index.unique},
    )


def comments(table: sa.Table) -> list[ExecutableDDLElement]:
    """What says of the table and its columns what they are."""
    return [SetTableComment(table), *map(SetColumnComment, table.columns)]


def _convert(connection: sa.Connection, table: sa.Table, column: sa.Column[Any], found: Column, zone: str) -> None:
    """Give the column its type and default. The original's default stays where this application has none."""
    name, wanted = _quoted(connection, column.name), wanted_type(connection, column)
    default = default_of(column) or found.default
    if found.type != wanted:
        converted = conversion(name, found.type, found.category, wanted, zone)
        assert converted is not None, f"{table.fullname}.{column.name} was not examined"
        if found.default is not None:
            _alter(connection, table, f"ALTER {name} DROP DEFAULT")
        _alter(connection, table, f"ALTER {name} TYPE {wanted} USING {converted[0]}")
    if default is not None and (found.type != wanted or default != found.default):
        _alter(connection, table, f"ALTER {name} SET DEFAULT {default}")


def _require(connection: sa.Connection, table: sa.Table, column: sa.Column[Any], found: Column) -> Iterator[str]:
    """Let the column take null or refuse it, as it should."""
    name = _quoted(connection, column.name)
    if column.nullable and found.required:
        _alter(connection, table, f"ALTER {name} DROP NOT NULL")
        yield f"{table.fullname}.{column.name} may be null from now on"
    elif not column.nullable and not found.required:
        if (default := default_of(column)) is not None:
            yield from _fill(connection, table, column.name, default)
        _alter(connection, table, f"ALTER {name} SET NOT NULL")


def _fill(connection: sa.Connection, table: sa.Table, column: str, default: str) -> Iterator[str]:
    """Give rows without a value the default. Triggers are off meanwhile, so that `updated_at` stays."""
    stamps = [name for name in ("created_at", "updated_at") if name in table.c and name != column]
    value = f"coalesce({', '.join([*stamps, default])})" if column in ("created_at", "updated_at") else default
    triggers = connection.execute(
        sa.text(
            "SELECT tgname, tgenabled::text FROM pg_trigger "
            "WHERE tgrelid = to_regclass(:table) AND NOT tgisinternal AND tgenabled <> 'D'"
        ),
        {"table": table.fullname},
    ).all()
    for trigger, _ in triggers:
        _alter(connection, table, f"DISABLE TRIGGER {_quoted(connection, trigger)}")
    filled = connection.exec_driver_sql(f"UPDATE {table.fullname} SET {column} = {value} WHERE {column} IS NULL")  # noqa: S608
    for trigger, state in triggers:
        how = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}[state]
        _alter(connection, table, f"{how} TRIGGER {_quoted(connection, trigger)}")
    if filled.rowcount:
        rows = "1 row" if filled.rowcount == 1 else f"{filled.rowcount} rows"
        yield f"{table.fullname}.{column} was null in {rows}, which got {value}"


def _primary_key(connection: sa.Connection, table: sa.Table) -> list[str]:
    return sa.inspect(connection).get_pk_constraint(table.name, schema=table.schema)["constrained_columns"]


def _adopt_foreign_key(
    connection: sa.Connection, table: sa.Table, constraint: sa.ForeignKeyConstraint
) -> Iterator[str]:
    """A foreign key of the original's to the same table serves, whatever its name and its action on deletion."""
    found = foreign_key_of(connection, table, constraint)
    if found is None:
        name = free_constraint(connection, table.fullname, str(constraint.name))
        column, target = constraint.column_keys[0], constraint.elements[0].column.table.fullname
        action = f"ON DELETE {constraint.ondelete}" if constraint.ondelete else ""
        _alter(connection, table, f"ADD CONSTRAINT {name} FOREIGN KEY ({column}) REFERENCES {target} (id) {action}")
    elif ACTIONS[found.action] != constraint.ondelete:
        yield (
            f"{table.fullname} keeps {found.name}: {ACTIONS[found.action]} instead of {constraint.ondelete} "
            f"where the row that {constraint.column_keys[0]} names is deleted"
        )


def _existing(connection: sa.Connection, table: sa.Table) -> list[Adopted]:
    """What the table has beyond its definition, or under names of its own. Kinds are named as in Alembic."""
    inspector = sa.inspect(connection)
    found: dict[str, Iterable[Any]] = {
        "column": (c["name"] for c in inspector.get_columns(table.name, table.schema) if c["name"] not in table.c),
        "index": (i["name"] for i in inspector.get_indexes(table.name, table.schema)),
        "unique_constraint": (c["name"] for c in inspector.get_unique_constraints(table.name, table.schema)),
        "foreign_key_constraint": (c["name"] for c in inspector.get_foreign_keys(table.name, table.schema)),
        "check_constraint": (c["name"] for c in inspector.get_check_constraints(table.name, table.schema)),
    }
    return [(kind, table.schema or "", table.name, name) for kind in found for name in found[kind]]


def _required_extras(connection: sa.Connection, table: sa.Table) -> list[str]:
    """Additional columns that every INSERT would have to fill, but that this application doesn't know."""
    return [
        f"{table.fullname}.{column['name']} is required, has no default and is unknown to this application: "
        "inserts will fail until it is nullable or has a default"
        for column in sa.inspect(connection).get_columns(table.name, table.schema)
        if column["name"] not in table.c
        and not column["nullable"]
        and column["default"] is None
        and not column.get("identity")
        and not column.get("computed")
    ]


def _alter(connection: sa.Connection, table: sa.Table, change: str) -> None:
    connection.exec_driver_sql(f"ALTER TABLE {table.fullname} {change}")


def _quoted(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)
