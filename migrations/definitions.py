"""What Alembic does not compare: CHECK constraints, and the method, predicate and operator classes of indexes.

PostgreSQL rewrites such definitions, so that texts can't be compared. The models' tables are therefore made in
scratch schemas, PostgreSQL is asked for both sets of definitions, and the scratch schemas are rolled back.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.sql.elements import conv

SCRATCH: Final = "drift_"

Name = tuple[str, str, str]
"""Schema, table and name of a constraint or index."""
Definitions = dict[Name, str]

CHECKS: Final = """
    SELECT nspname, relname, conname, pg_get_constraintdef(k.oid) FROM pg_constraint k
    JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE contype = 'c' AND nspname = ANY(:schemas)
"""
INDEXES: Final = """
    SELECT schemaname, tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = ANY(:schemas)
"""


def add_differences(
    connection: sa.Connection,
    metadata: sa.MetaData,
    script: ops.MigrationScript,
    adopted: set[tuple[str, str, str, str]],
) -> None:
    """Add to the script what it takes to bring CHECK constraints and indexes to the models' definitions.

    `adopted` holds (kind, schema, table, name) of what the database may have in excess.
    """
    assert script.upgrade_ops is not None
    assert script.downgrade_ops is not None
    checks, wanted_checks, indexes, wanted_indexes = _definitions(connection, metadata)
    tables = {(table.schema or "", table.name): table for table in metadata.sorted_tables}
    up, down = script.upgrade_ops.ops, script.downgrade_ops.ops
    handled = {getattr(op, "index_name", None) for op in _flat(up)}
    made = {getattr(op, "table_name", None) for op in _flat(up) if isinstance(op, (ops.CreateTableOp, ops.DropTableOp))}
    for name in sorted(checks.keys() | wanted_checks.keys()):
        before, after = checks.get(name), wanted_checks.get(name)
        excess = after is None and (name[:2] not in tables or ("check_constraint", *name) in adopted)
        if before != after and not excess and name[1] not in made:
            # the models' own text: PostgreSQL's, given back to it, need not come out the same
            rule = _model_rule(tables[name[:2]], name[2]) if after else None
            up += [*_drop_check(name, before), *_create_check(name, rule)]
            down[:0] = [*_drop_check(name, after), *_create_check(name, _rule(before))]
    for name in sorted(indexes.keys() & wanted_indexes.keys()):
        if indexes[name] != wanted_indexes[name] and name[2] not in handled:
            index = next(index for index in tables[name[:2]].indexes if index.name == name[2])
            up += [ops.DropIndexOp.from_index(index), ops.CreateIndexOp.from_index(index)]
            down[:0] = [ops.DropIndexOp.from_index(index), ops.ExecuteSQLOp(indexes[name])]


def _definitions(connection: sa.Connection, metadata: sa.MetaData) -> tuple[Definitions, ...]:
    """Checks and indexes: those of the database, and as the models want them."""
    schemas = sorted({table.schema for table in metadata.sorted_tables if table.schema})
    scratch = sa.MetaData()
    for table in metadata.sorted_tables:
        table.to_metadata(
            scratch,
            schema=f"{SCRATCH}{table.schema}",
            referred_schema_fn=lambda _table, _to, _constraint, referred: f"{SCRATCH}{referred}",
        )
    transaction = connection.begin_nested()
    try:
        for schema in schemas:
            connection.exec_driver_sql(f"CREATE SCHEMA {SCRATCH}{schema}")
        scratch.create_all(connection, checkfirst=False)
        found = [
            _read(connection, query, [f"{prefix}{schema}" for schema in schemas])
            for query in (CHECKS, INDEXES)
            for prefix in ("", SCRATCH)
        ]
    finally:
        transaction.rollback()
    return tuple(found)


def _read(connection: sa.Connection, query: str, schemas: list[str]) -> Definitions:
    return {
        (schema.removeprefix(SCRATCH), table, name): definition.replace(f" ON {SCRATCH}", " ON ")
        for schema, table, name, definition in connection.execute(sa.text(query), {"schemas": schemas})
    }


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
