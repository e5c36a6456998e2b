"""Adopting the tables of the original service: rows stay, what is missing is added, what is in excess is left alone.

What an adopted database has beyond this application's tables (its own tables, columns, indexes, constraints) is
written down in `shared.adopted_objects`, which only such databases have. It is neither proposed for dropping by
`generate` nor dropped by a downgrade.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.schema import AddConstraint, CreateColumn, CreateIndex, SetColumnComment, SetTableComment

from migrations.conversion import conversion
from migrations.errors import AdoptionError

SHOWN: Final = 5
"""How many of the offending rows an error lists."""

ADOPTED: Final = "shared.adopted_objects"


def adopt(connection: sa.Connection, table: sa.Table) -> list[str]:
    """Bring the existing table to the definition and record what it has in excess.

    Returns one line for each thing that whoever runs the migration should know. Raises AdoptionError when rows
    contradict a constraint or a column has a type that can't become the wanted one.
    """
    connection.exec_driver_sql(f"LOCK TABLE {table.fullname} IN ACCESS EXCLUSIVE MODE")
    for column in table.columns:
        _adopt_column(connection, table, column)
    _adopt_primary_key(connection, table)
    for constraint in sorted(table.constraints, key=lambda constraint: str(constraint.name)):
        if isinstance(constraint, sa.ForeignKeyConstraint):
            _adopt_foreign_key(connection, table, constraint)
        elif isinstance(constraint, sa.CheckConstraint):
            _adopt_check(connection, table, constraint)
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        _adopt_index(connection, table, index)
    connection.execute(SetTableComment(table))
    for column in table.columns:
        connection.execute(SetColumnComment(column))
    _record(connection, [("table", table.schema, table.name, table.name), *_extras(connection, table)])
    return _required_extras(connection, table)


def table_exists(connection: sa.Connection, table: sa.Table) -> bool:
    """Whether the database has a table of that name."""
    return sa.inspect(connection).has_table(table.name, schema=table.schema)


def record_existing(connection: sa.Connection, schemas: Iterable[str]) -> None:
    """Record the schemas and tables that are already there as adopted; the version table is this application's."""
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
    _record(connection, [(kind, schema, table, name) for kind, schema, table, name in found])


def is_adopted(connection: sa.Connection, kind: str, schema: str, name: str) -> bool:
    """Whether the schema or table was there before this application."""
    return (kind, schema, name, name) in adopted_objects(connection)


def adopted_objects(connection: sa.Connection) -> set[tuple[str, str, str, str]]:
    """Kind (as Alembic names them), schema, table and name of everything that was there before."""
    if connection.scalar(sa.text("SELECT to_regclass(:name)"), {"name": ADOPTED}) is None:
        return set()
    rows = connection.exec_driver_sql(f"SELECT kind, schema_name, table_name, name FROM {ADOPTED}")  # noqa: S608
    return {(kind, schema, table, name) for kind, schema, table, name in rows}


def forget_adopted(connection: sa.Connection) -> None:
    """Drop the record; the next upgrade adopts anew."""
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {ADOPTED}")


def _record(connection: sa.Connection, objects: list[tuple[Any, ...]]) -> None:
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


def _adopt_column(connection: sa.Connection, table: sa.Table, column: sa.Column[Any]) -> None:
    name = _quoted(connection, column.name)
    found = connection.execute(
        sa.text(
            "SELECT format_type(a.atttypid, a.atttypmod) AS type, t.typcategory::text AS category, "
            "a.attnotnull AS required, a.atthasdef AS has_default "
            "FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
            "WHERE a.attrelid = to_regclass(:table) AND a.attname = :name AND a.attnum > 0 AND NOT a.attisdropped"
        ),
        {"table": table.fullname, "name": column.name},
    ).one_or_none()
    default = column.server_default.arg.text if isinstance(column.server_default, sa.DefaultClause) else None  # type: ignore[union-attr]  # always text() in revisions
    if found is None:
        if not column.nullable and default is None:
            _refuse(connection, table, "true", f"rows, but no column {column.name}")
        definition = CreateColumn(column).compile(dialect=connection.dialect)
        _alter(connection, table, f"ADD COLUMN {definition}")
        return
    wanted = column.type.compile(connection.dialect).lower().replace("varchar", "character varying")
    if found.type != wanted:
        using, misfits = conversion(name, found.type, found.category, wanted) or (None, None)
        if using is None:
            raise AdoptionError(f"{table.fullname}.{column.name} is {found.type}, which can't become {wanted}")
        if misfits is not None:
            _refuse(connection, table, misfits, f"values of {column.name} that don't fit {wanted}")
        if found.has_default:
            _alter(connection, table, f"ALTER {name} DROP DEFAULT")
        _alter(connection, table, f"ALTER {name} TYPE {wanted} USING {using}")
    if default is not None:
        _alter(connection, table, f"ALTER {name} SET DEFAULT {default}")
    elif found.has_default:
        _alter(connection, table, f"ALTER {name} DROP DEFAULT")
    if column.nullable:
        _alter(connection, table, f"ALTER {name} DROP NOT NULL")
    elif not found.required:
        if default is not None:
            connection.exec_driver_sql(f"UPDATE {table.fullname} SET {name} = DEFAULT WHERE {name} IS NULL")  # noqa: S608
        else:
            _refuse(connection, table, f"{name} IS NULL", f"no {column.name}")
        _alter(connection, table, f"ALTER {name} SET NOT NULL")


def _adopt_primary_key(connection: sa.Connection, table: sa.Table) -> None:
    found = sa.inspect(connection).get_pk_constraint(table.name, schema=table.schema)["constrained_columns"]
    wanted = [column.name for column in table.primary_key.columns]
    if not found:
        _refuse_duplicates(connection, table, ", ".join(wanted), "true", "the same primary key")
        connection.execute(AddConstraint(table.primary_key))
    elif found != wanted:
        raise AdoptionError(f"{table.fullname} has the primary key ({', '.join(found)}), not ({', '.join(wanted)})")


def _adopt_foreign_key(connection: sa.Connection, table: sa.Table, constraint: sa.ForeignKeyConstraint) -> None:
    """An equal one serves under any name; one that acts otherwise on deletion is replaced."""
    column, target = constraint.column_keys[0], constraint.elements[0].column.table
    equal = False
    for found in connection.execute(
        sa.text(
            "SELECT c.conname AS name, c.confdeltype::text = :action AND c.confupdtype = 'a' AND c.convalidated "
            "AND NOT c.condeferrable AS equal FROM pg_constraint c "
            "JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum] "
            "WHERE c.contype = 'f' AND c.conrelid = to_regclass(:table) AND a.attname = :column "
            "AND c.confrelid = to_regclass(:target)"
        ),
        {
            "table": table.fullname,
            "column": column,
            "target": target.fullname,
            "action": {"CASCADE": "c", "SET NULL": "n"}[constraint.ondelete or ""],
        },
    ).all():
        if found.equal and not equal:
            equal = True
        else:
            _alter(connection, table, f"DROP CONSTRAINT {_quoted(connection, found.name)}")
    if not equal:
        missing = f"NOT EXISTS (SELECT FROM {target.fullname} target WHERE target.id = {table.fullname}.{column})"
        _refuse(connection, table, f"{column} IS NOT NULL AND {missing}", f"{column} not in {target.fullname}")
        connection.execute(AddConstraint(constraint))


def _adopt_check(connection: sa.Connection, table: sa.Table, constraint: sa.CheckConstraint) -> None:
    rule = str(constraint.sqltext)
    _refuse(connection, table, f"NOT ({rule})", f"values that {constraint.name} refuses")
    _alter(connection, table, f"DROP CONSTRAINT IF EXISTS {constraint.name}")
    connection.execute(AddConstraint(constraint))


def _adopt_index(connection: sa.Connection, table: sa.Table, index: sa.Index) -> None:
    """Make it anew: one of the same name may have any definition, and may belong to a constraint."""
    if index.unique:
        keys = [str(getattr(key, "name", None) or key) for key in index.expressions]
        where = index.dialect_options["postgresql"]["where"]
        live = " AND ".join([f"({where})" if where is not None else "true", *(f"{key} IS NOT NULL" for key in keys)])
        _refuse_duplicates(connection, table, ", ".join(keys), live, index.info["duplicates"])
    owner = connection.scalar(
        sa.text("SELECT conname FROM pg_constraint WHERE conindid = to_regclass(:index) AND contype IN ('u', 'x')"),
        {"index": f"{table.schema}.{index.name}"},
    )
    if owner is not None:
        _alter(connection, table, f"DROP CONSTRAINT {_quoted(connection, owner)}")
    connection.exec_driver_sql(f"DROP INDEX IF EXISTS {table.schema}.{index.name}")
    connection.execute(CreateIndex(index))


def _refuse(connection: sa.Connection, table: sa.Table, condition: str, what: str) -> None:
    """Raise AdoptionError if rows meet the condition."""
    query = f"SELECT id::text FROM {table.fullname} WHERE {condition} ORDER BY 1 LIMIT {SHOWN + 1}"  # noqa: S608
    _raise_for(table, what, [row[0] for row in connection.exec_driver_sql(query)])


def _refuse_duplicates(connection: sa.Connection, table: sa.Table, keys: str, where: str, what: str) -> None:
    """Raise AdoptionError if two rows that meet the condition have the same keys."""
    query = (
        f"SELECT string_agg(id::text, ' = ' ORDER BY id::text) FROM {table.fullname} WHERE {where} "  # noqa: S608
        f"GROUP BY {keys} HAVING count(*) > 1 ORDER BY 1 LIMIT {SHOWN + 1}"
    )
    _raise_for(table, what, [row[0] for row in connection.exec_driver_sql(query)])


def _raise_for(table: sa.Table, what: str, found: list[str]) -> None:
    if found:
        listed = ", ".join(found[:SHOWN]) + (" and more" if len(found) > SHOWN else "")
        raise AdoptionError(f"{table.fullname} has {what}; nothing was changed. Correct these first, by id: {listed}")


def _extras(connection: sa.Connection, table: sa.Table) -> list[tuple[str, str | None, str, str]]:
    """What the table has beyond its definition, as Alembic's autogeneration names and sees it."""
    inspector = sa.inspect(connection)
    own = {str(index.name) for index in table.indexes} | {str(rule.name) for rule in table.constraints}
    found: dict[str, Iterable[Any]] = {
        "column": (c["name"] for c in inspector.get_columns(table.name, table.schema) if c["name"] not in table.c),
        "index": (i["name"] for i in inspector.get_indexes(table.name, table.schema)),
        "unique_constraint": (c["name"] for c in inspector.get_unique_constraints(table.name, table.schema)),
        "foreign_key_constraint": (c["name"] for c in inspector.get_foreign_keys(table.name, table.schema)),
        "check_constraint": (c["name"] for c in inspector.get_check_constraints(table.name, table.schema)),
    }
    return [(kind, table.schema, table.name, name) for kind in found for name in found[kind] if name not in own]


def _required_extras(connection: sa.Connection, table: sa.Table) -> list[str]:
    """Columns in excess that an INSERT of this application would have to fill, but does not know."""
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
