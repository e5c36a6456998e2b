"""What Alembic does not compare: CHECK constraints, and the method, predicate and operator classes of indexes.

PostgreSQL rewrites such definitions, so that texts can't be compared. The models' tables are therefore made in
scratch schemas, PostgreSQL is asked for both sets of definitions, and the scratch schemas are rolled back. Definitions
that differ are made again from PostgreSQL's own text until that no longer changes, since a definition may read
differently after a dump and a restore.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.elements import conv

from migrations.adopted_objects import Adopted
from migrations.batch import execute_all

SCRATCH: Final = "drift_"
PROBE: Final = "fashion_wallet_probe"

Name = tuple[str, str, str]
"""Schema, table and name of a constraint or index."""
Found = dict[Name, str]

CHECKS: Final = """
    SELECT nspname, relname, conname, pg_get_constraintdef(k.oid) FROM pg_constraint k
    JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE contype = 'c' AND nspname = ANY(:schemas)
"""
INDEXES: Final = """
    SELECT n.nspname, t.relname, c.relname, CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END
        || substring(pg_get_indexdef(i.indexrelid) FROM ' (USING .*)$')
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace WHERE n.nspname = ANY(:schemas)
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """What the database has of one kind, and what the models want."""

    found: Found
    wanted: Found

    def serving(self, name: Name) -> Name | None:
        """What serves as the wanted one: the candidate with the same definition."""
        return next((found for found in self.candidates(name) if self.found[found] == self.wanted[name]), None)

    def candidates(self, name: Name) -> list[Name]:
        """Those of the database that may be the wanted one: they have its name, or its name with a number."""
        return sorted(
            found
            for found in self.found
            if found[:2] == name[:2]
            and found[2].startswith(name[2])
            and re.fullmatch(r"(_\d+)?", found[2].removeprefix(name[2]))
        )

    def stand_ins(self) -> set[Name]:
        """Those of the database that serve as one of the models', under another name."""
        return {found for name in self.wanted if (found := self.serving(name)) is not None and found != name}


@dataclass(frozen=True, slots=True)
class Definitions:
    """The CHECK constraints and the indexes of all tables."""

    checks: Pair
    indexes: Pair


def add_differences(
    metadata: sa.MetaData, script: ops.MigrationScript, adopted: set[Adopted], definitions: Definitions
) -> None:
    """Add to the script what it takes to bring CHECK constraints and indexes to the models' definitions.

    `adopted` is what the database may have in excess.
    """
    assert script.upgrade_ops is not None
    assert script.downgrade_ops is not None
    checks, indexes = definitions.checks, definitions.indexes
    tables = {(table.schema or "", table.name): table for table in metadata.sorted_tables}
    up, down = script.upgrade_ops.ops, script.downgrade_ops.ops
    handled = {getattr(op, "index_name", None) for op in _flat(up)}
    made = {getattr(op, "table_name", None) for op in _flat(up) if isinstance(op, (ops.CreateTableOp, ops.DropTableOp))}
    standing_in = checks.stand_ins()
    for name in sorted(checks.found.keys() | checks.wanted.keys()):
        theirs = ("check_constraint", *name) in adopted or name in standing_in or name[:2] not in tables
        before, after = None if theirs else checks.found.get(name), checks.wanted.get(name)
        if after is not None and checks.serving(name) is not None:
            continue
        if before != after and name[1] not in made:
            # the models' own text, since PostgreSQL may rewrite its own once more
            rule = _model_rule(tables[name[:2]], name[2]) if after else None
            up += [*_drop_check(name, before), *_create_check(name, rule)]
            down[:0] = [*_drop_check(name, after), *_create_check(name, _rule(before))]
    for name in sorted(indexes.found.keys() & indexes.wanted.keys()):
        theirs = ("index", *name) in adopted or indexes.serving(name) is not None
        if indexes.found[name] != indexes.wanted[name] and not theirs and name[2] not in handled:
            index = next(index for index in tables[name[:2]].indexes if index.name == name[2])
            up += [ops.DropIndexOp.from_index(index), ops.CreateIndexOp.from_index(index)]
            down[:0] = [ops.DropIndexOp.from_index(index), ops.ExecuteSQLOp(_create_index(name, indexes.found[name]))]


def read_definitions(connection: sa.Connection, metadata: sa.MetaData) -> Definitions:
    """Checks and indexes: those of the database, and as the models want them."""
    schemas = sorted({table.schema for table in metadata.sorted_tables if table.schema})
    scratch = sa.MetaData()
    for table in metadata.sorted_tables:
        copy = table.to_metadata(
            scratch,
            schema=f"{SCRATCH}{table.schema}",
            referred_schema_fn=lambda _table, _to, _constraint, referred: f"{SCRATCH}{referred}",
        )
        for commented in (copy, *copy.columns):
            commented.comment = None  # half of all statements, for what nobody reads
    transaction = connection.begin_nested()
    try:
        execute_all(connection, [f"CREATE SCHEMA {SCRATCH}{schema}" for schema in schemas])
        for table in scratch.sorted_tables:
            execute_all(connection, [CreateTable(table), *map(CreateIndex, table.indexes)])
        checks, indexes = (
            _settled(connection, query, make, schemas)
            for query, make in ((CHECKS, _add_check), (INDEXES, _create_index))
        )
    finally:
        transaction.rollback()
    return Definitions(checks, indexes)


def _settled(connection: sa.Connection, query: str, make: Callable[[Name, str], str], schemas: list[str]) -> Pair:
    """Both sides of one kind; where they differ, as PostgreSQL spells them in the end."""
    pair = Pair(
        _read(connection, query, schemas), _read(connection, query, [f"{SCRATCH}{schema}" for schema in schemas])
    )
    unserved = {name for name in pair.wanted if pair.serving(name) is None}
    in_question = {found for name in unserved for found in pair.candidates(name)}

    def settle(side: Found, names: set[Name]) -> Found:
        return side | {name: _settle(connection, query, make, name, side[name]) for name in names}

    return Pair(settle(pair.found, in_question), settle(pair.wanted, unserved))


def _settle(
    connection: sa.Connection, query: str, make: Callable[[Name, str], str], name: Name, definition: str
) -> str:
    """The definition as PostgreSQL writes it in the end; as it is where it can't be made."""
    schema, table, _ = name
    probe = (f"{SCRATCH}{schema}", table, PROBE)
    for _ in range(3):
        attempt = connection.begin_nested()
        try:
            connection.exec_driver_sql(make(probe, definition))
            made = _read(connection, query, [probe[0]])[schema, table, PROBE]
        except DBAPIError:
            return definition
        finally:
            attempt.rollback()
        if made == definition:
            break
        definition = made
    return definition


def _read(connection: sa.Connection, query: str, schemas: list[str]) -> Found:
    return {
        (schema.removeprefix(SCRATCH), table, name): definition
        for schema, table, name, definition in connection.execute(sa.text(query), {"schemas": schemas})
    }


def _add_check(name: Name, definition: str) -> str:
    schema, table, constraint = name
    return f"ALTER TABLE {schema}.{table} ADD CONSTRAINT {constraint} {definition}"


def _create_index(name: Name, definition: str) -> str:
    schema, table, index = name
    unique = "UNIQUE " if definition.startswith("UNIQUE ") else ""
    return f"CREATE {unique}INDEX {index} ON {schema}.{table} {definition.removeprefix('UNIQUE ')}"


def _drop_check(name: Name, definition: str | None) -> list[ops.MigrateOperation]:
    schema, table, constraint = name
    return [ops.DropConstraintOp(conv(constraint), table, "check", schema=schema)] if definition else []


def _create_check(name: Name, rule: str | None) -> list[ops.MigrateOperation]:
    schema, table, constraint = name
    return [ops.CreateCheckConstraintOp(conv(constraint), table, sa.text(rule), schema=schema)] if rule else []


def _model_rule(table: sa.Table, name: str) -> str:
    return next(
        str(rule.sqltext) for rule in table.constraints if isinstance(rule, sa.CheckConstraint) and rule.name == name
    )


def _rule(definition: str | None) -> str | None:
    """What is in the parentheses of `CHECK (...) NOT VALID`."""
    return definition and definition[definition.index("(") + 1 : definition.rindex(")")]


def _flat(operations: list[Any]) -> list[Any]:
    """The operations, with those of a table's group one by one."""
    return [single for op in operations for single in (op.ops if isinstance(op, ops.ModifyTableOps) else [op])]
