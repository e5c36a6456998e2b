"""What keeps a database from being adopted, found before anything is changed, and all of it at once.

Rules are applied to the rows as they would be: converted, with defaults where they are null. Nothing is locked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from migrations.conversion import conversion
from migrations.errors import Contradiction, MigrationError
from migrations.folding import FOLD, create_fold
from migrations.rules import RULES, VALUES, Rule

UNREADABLE: Final = "unreadable"
"""In the place of a default: the values of this column can't be read."""
LISTED: Final = 20
"""How many of the rows are listed by id; their number is always told."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the database has it; the type as format_type writes it, and pg_type.typcategory."""

    type: str
    category: str
    required: bool
    default: str | None

    @property
    def is_naive_timestamp(self) -> bool:
        return self.type.startswith("timestamp") and self.type.endswith("without time zone")


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """`action` is pg_constraint.confdeltype."""

    name: str
    action: str


def columns_of(connection: sa.Connection, table: sa.Table) -> dict[str, Column]:
    """The columns that the database's table has, by name."""
    rows = connection.execute(
        sa.text(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod), t.typcategory::text, a.attnotnull, "
            "pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
            "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
            "WHERE a.attrelid = to_regclass(:table) AND a.attnum > 0 AND NOT a.attisdropped"
        ),
        {"table": table.fullname},
    )
    return {name: Column(type_, category, required, default) for name, type_, category, required, default in rows}


def foreign_key_of(
    connection: sa.Connection, table: sa.Table, constraint: sa.ForeignKeyConstraint
) -> ForeignKey | None:
    """A foreign key of the same column to the same table that the rows have been checked against."""
    row = connection.execute(
        sa.text(
            "SELECT c.conname, c.confdeltype::text FROM pg_constraint c "
            "JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum] "
            "WHERE c.contype = 'f' AND c.convalidated AND c.conrelid = to_regclass(:table) AND a.attname = :column "
            "AND c.confrelid = to_regclass(:target) ORDER BY c.confdeltype::text = :action DESC, c.conname LIMIT 1"
        ),
        {
            "table": table.fullname,
            "column": constraint.column_keys[0],
            "target": constraint.elements[0].column.table.fullname,
            "action": {"CASCADE": "c", "SET NULL": "n"}[constraint.ondelete or ""],
        },
    ).one_or_none()
    return None if row is None else ForeignKey(*row)


def default_of(column: sa.Column[Any]) -> str | None:
    """The server's default as SQL."""
    found = column.server_default
    return found.arg.text if isinstance(found, sa.DefaultClause) else None  # type: ignore[union-attr]  # always text() in revisions


def wanted_type(connection: sa.Connection, column: sa.Column[Any]) -> str:
    """The type as format_type writes it."""
    return column.type.compile(connection.dialect).lower().replace("varchar", "character varying")


def examine(connection: sa.Connection, tables: Iterable[sa.Table]) -> list[Contradiction]:
    """What contradicts the definitions of those of the tables that exist. Changes nothing."""
    found: list[Contradiction] = []
    attempt = connection.begin_nested()
    try:
        for table in tables:
            if columns_of(connection, table):
                found += _Examined(connection, table).contradictions()
    finally:
        attempt.rollback()
    return found


def require_time_zone(connection: sa.Connection, name: str) -> None:
    """Raise MigrationError where the server knows no such time zone."""
    known = sa.text("SELECT count(*) FROM pg_timezone_names WHERE lower(name) = lower(:name)")
    if not connection.scalar(known, {"name": name}):
        raise MigrationError(f"--timestamps-in: PostgreSQL knows no time zone {name}; Europe/Berlin is one, or UTC")


def duplicates(connection: sa.Connection, table: str, keys: str, rule: Rule) -> list[Contradiction]:
    """What contradicts a unique index of these keys, in a table that has its columns already."""
    schema, _, name = table.partition(".")
    return list(_Examined(connection, sa.Table(name, sa.MetaData(), schema=schema)).duplicates(keys, "true", rule))


class _Examined:
    """One table of the database, seen as it would be after adoption."""

    def __init__(self, connection: sa.Connection, table: sa.Table) -> None:
        self._connection = connection
        self._table = table
        self._name = table.fullname
        self._columns = columns_of(connection, table)
        self._id = "id::text" if "id" in self._columns else "ctid::text"

    def contradictions(self) -> Iterator[Contradiction]:
        for column in self._table.columns:
            yield from self._column(column)
        yield from self._primary_key()
        for constraint in sorted(self._table.constraints, key=lambda constraint: str(constraint.name)):
            if isinstance(constraint, sa.CheckConstraint):
                rule = str(constraint.sqltext)
                yield from self._rows(rule, f"NOT ({rule})", RULES[str(constraint.name)])
            elif isinstance(constraint, sa.ForeignKeyConstraint):
                yield from self._foreign_key(constraint)
        for index in sorted(self._table.indexes, key=lambda index: str(index.name)):
            if index.unique:
                yield from self._unique(index)

    def _column(self, column: sa.Column[Any]) -> Iterator[Contradiction]:
        name, found = self._quoted(column.name), self._columns.get(column.name)
        default, wanted = default_of(column), wanted_type(self._connection, column)
        if found is None:
            if not column.nullable and default is None:
                yield from self._rows("", "true", Rule(f"{column.name} is required, and there is no such column"))
            return
        if found.type != wanted:
            converted = conversion(name, found.type, found.category, wanted)
            if converted is None:
                words = f"{column.name} is {found.type}, which can't become {wanted}"
                yield Contradiction(self._name, words)
                return
            length = re.search(r"\((\d+)\)", wanted)
            words = f"{column.name} has at most {length[1]} characters" if length else VALUES.get(wanted, "")
            rule = Rule(words.format(column=column.name))
            if converted[1] is not None:
                yield from self._rows("", converted[1], rule)
            elif wanted == "jsonb":
                yield from self._not_json(column.name, converted[0], rule)
        if not column.nullable and default is None and not found.required:
            yield from self._rows("", f"{name} IS NULL", Rule(f"{column.name} is required"))

    def _not_json(self, column: str, using: str, rule: Rule) -> Iterator[Contradiction]:
        """PostgreSQL can't say which text isn't JSON before version 16."""
        attempt = self._connection.begin_nested()
        try:
            self._connection.exec_driver_sql(f"SELECT count({using}) FROM {self._name}")
        except DBAPIError as error:
            cause = error.orig.__cause__ if error.orig is not None else None
            said = getattr(cause, "detail", None) or str(cause or error)
            yield Contradiction(self._name, rule.words, advice=f"PostgreSQL says: {said.rstrip('.')}")
            self._columns[column] = replace(self._columns[column], default=UNREADABLE)
        finally:
            attempt.rollback()

    def _primary_key(self) -> Iterator[Contradiction]:
        found = sa.inspect(self._connection).get_pk_constraint(self._table.name, schema=self._table.schema)
        keys, wanted = found["constrained_columns"], [column.name for column in self._table.primary_key.columns]
        if keys and keys != wanted:
            words = f"the primary key is ({', '.join(keys)}), not ({', '.join(wanted)})"
            yield Contradiction(self._name, words)
        elif not keys and all(name in self._columns for name in wanted):
            yield from self.duplicates(", ".join(wanted), "true", Rule(f"{', '.join(wanted)} is the primary key"))

    def _foreign_key(self, constraint: sa.ForeignKeyConstraint) -> Iterator[Contradiction]:
        column, target = constraint.column_keys[0], constraint.elements[0].column.table.fullname
        if column not in self._columns or foreign_key_of(self._connection, self._table, constraint) is not None:
            return
        exists = self._connection.scalar(sa.text("SELECT to_regclass(:name)"), {"name": target}) is not None
        missing = f"NOT EXISTS (SELECT FROM {target} target WHERE target.id::text = {self._table.name}.{column}::text)"
        rule = Rule(f"{column} is the id of a row of {target}")
        if constraint.ondelete == "SET NULL":
            rule = Rule(rule.words, advice="Null says that nobody knows", mend=(f"{column} = NULL", ""))
        yield from self._rows(column, f"{column} IS NOT NULL" + (f" AND {missing}" if exists else ""), rule)

    def _unique(self, index: sa.Index) -> Iterator[Contradiction]:
        rule = RULES[str(index.name)]
        keys = rule.keys or ", ".join(str(getattr(key, "name", None) or key) for key in index.expressions)
        if FOLD.partition("(")[0] in keys:
            create_fold(self._connection)  # within the savepoint
        where = index.dialect_options["postgresql"]["where"]
        yield from self.duplicates(keys, "true" if where is None else str(where), rule)

    def _rows(self, involved: str, condition: str, rule: Rule) -> Iterator[Contradiction]:
        """Rows that meet the condition. Columns that `involved` names are taken as they would be."""
        source = self._source(involved)
        where = f"FROM {source} WHERE {condition}"
        count = self._number(f"SELECT count(*) {where}")
        if count:
            ids = self._first(f"SELECT {self._id} {where}")
            show = f"SELECT * {where}"
            yield Contradiction(self._name, rule.words, count, ids, show, self._mend(rule, where), rule.advice)

    def duplicates(self, keys: str, condition: str, rule: Rule) -> Iterator[Contradiction]:
        """Rows that meet the condition and have the same keys as another one; counted and listed by their groups."""
        source = self._source(f"{keys} {condition} updated_at" if rule.mend else f"{keys} {condition}")
        live = f"FROM {source} WHERE {condition} AND num_nulls({keys}) = 0"
        groups = f"SELECT string_agg({self._id}, ' = ' ORDER BY {self._id}) {live} GROUP BY {keys} HAVING count(*) > 1"
        count = self._number(f"SELECT count(*) FROM ({groups}) AS groups")
        if not count:
            return
        ids = self._first(groups)
        listed = ", ".join(f"'{id_}'" for group in ids for id_ in group.split(" = "))
        show = f"SELECT * FROM {self._name} WHERE {self._id} IN ({listed})"
        ranked = f"SELECT id, row_number() OVER (PARTITION BY {keys} ORDER BY updated_at DESC, id) AS place {live}"
        mend = self._mend(rule, f"FROM ({ranked}) AS ranked WHERE place > 1")
        yield Contradiction(self._name, rule.words, count, ids, show, mend, rule.advice)

    def _mend(self, rule: Rule, where: str) -> str:
        if rule.mend is None or "id" not in self._columns:
            return ""
        change, narrower = rule.mend
        chosen = f"SELECT id {where}" + (f" AND ({narrower})" if narrower else "")
        if not self._number(f"SELECT count(*) FROM ({chosen}) AS chosen"):
            return ""
        return f"UPDATE {self._name} SET {change} WHERE id IN ({chosen})"

    def _source(self, involved: str) -> str:
        """The table, or a sub-select of it where a column of those named in the text isn't yet what it will be."""
        named = [column for column in self._table.columns if re.search(rf"\b{column.name}\b", involved)]
        seen = {column.name: self._as_it_would_be(column) for column in named}
        if all(name == expression for name, expression in seen.items()):
            return self._name
        key = "id" if "id" in self._columns else "ctid"
        listed = ", ".join([key, *(f"{e} AS {n}" if e != n else n for n, e in seen.items() if n != key)])
        return f"(SELECT {listed} FROM {self._name}) AS {self._table.name}"

    def _as_it_would_be(self, column: sa.Column[Any]) -> str:
        name, found = self._quoted(column.name), self._columns.get(column.name)
        default, wanted = default_of(column), wanted_type(self._connection, column)
        if found is None:
            return f"({default or 'NULL'})::{wanted}"
        expression = name
        if found.type != wanted:
            converted = conversion(name, found.type, found.category, wanted)
            if converted is None or found.default == UNREADABLE:
                return f"NULL::{wanted}"
            using, misfits = converted
            expression = using if misfits is None else f"CASE WHEN NOT ({misfits}) THEN {using} END"
        if default is not None and not column.nullable and not found.required:
            expression = f"coalesce({expression}, {default})"
        return expression

    def _number(self, query: str) -> int:
        return int(self._connection.exec_driver_sql(query).scalar_one())

    def _first(self, query: str) -> tuple[str, ...]:
        return tuple(row[0] for row in self._connection.exec_driver_sql(f"{query} ORDER BY 1 LIMIT {LISTED}"))

    def _quoted(self, name: str) -> str:
        return self._connection.dialect.identifier_preparer.quote(name)
