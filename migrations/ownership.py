"""Indexes, triggers and functions beside those of others: what isn't ours is neither dropped nor renamed.

The tables and indexes of a schema share one space of names, so an index of anybody's table may have the name that one
of ours is to get. Ours is then called `..._2`, or the next number that is free. The same goes for triggers and
constraints, whose names belong to their table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import sqlalchemy as sa

from migrations.adopted_objects import is_adopted, record
from migrations.batch import execute_all
from migrations.errors import AdoptionError

SCRATCH: Final = "fashion_wallet_scratch"
"""A table that is there within a savepoint only."""


class Index(NamedTuple):
    """What an index is. For a relation of another kind, all of it is empty."""

    table: str
    unique: bool
    valid: bool
    definition: str


def names(name: str) -> Iterator[str]:
    """The name, and those to try after it where it is taken."""
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


def taken_names(connection: sa.Connection, schema: str, names: Iterable[str]) -> set[str]:
    """Those of the names that tables, indexes, views and sequences of the schema have."""
    query = sa.text(
        "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(:schema) AND relname = ANY(:names)"
    )
    return set(connection.scalars(query, {"schema": schema, "names": list(names)}))


def free_relation(connection: sa.Connection, schema: str, name: str) -> str:
    """The first of the names that no table, index, view or sequence of the schema has."""
    return next(candidate for candidate in names(name) if _found(connection, schema, candidate) is None)


def free_constraint(connection: sa.Connection, table: str, name: str) -> str:
    """The first of the names that no constraint of the table has."""
    query = sa.text("SELECT count(*) FROM pg_constraint WHERE conrelid = to_regclass(:table) AND conname = :name")
    return next(n for n in names(name) if not connection.scalar(query, {"table": table, "name": n}))


def create_index(connection: sa.Connection, table: str, name: str, on: str, *, unique: bool = False) -> None:
    """Create the index on what follows the table's name in its definition.

    An index of this name that the table already has is kept. Where its definition is the same, it serves: somebody may
    have made it beforehand, with CONCURRENTLY.
    """
    schema, _, bare = table.partition(".")
    for candidate in names(name):
        found = _found(connection, schema, candidate)
        if found is None:
            kind = "UNIQUE INDEX" if unique else "INDEX"
            connection.exec_driver_sql(f"CREATE {kind} {candidate} ON {table} {on}")
            return
        if found.table == bare:
            record(connection, [("index", schema, bare, candidate)])
            if found == _as_made(connection, table, on, unique=unique):
                return


def create_indexes(
    connection: sa.Connection, table: str, indexes: Mapping[str, str], *, unique: Collection[str] = ()
) -> None:
    """Create these indexes, given by name and what follows the table's name, as `create_index` does each.

    Those whose names nobody has, which is nearly always all of them, are one statement.
    """
    taken = taken_names(connection, table.partition(".")[0], indexes)
    execute_all(
        connection,
        [
            f"CREATE {'UNIQUE INDEX' if name in unique else 'INDEX'} {name} ON {table} {on}"
            for name, on in indexes.items()
            if name not in taken
        ],
    )
    for name in indexes:
        if name in taken:
            create_index(connection, table, name, indexes[name], unique=name in unique)


def create_check(connection: sa.Connection, table: str, name: str, rule: str) -> None:
    """Add the constraint, unless one of the name (or the name with a number) says the same already."""
    free = free_constraint(connection, table, name)
    connection.exec_driver_sql(f"ALTER TABLE {table} ADD CONSTRAINT {free} CHECK ({rule})")
    query = sa.text(
        "SELECT count(*) FROM pg_constraint mine JOIN pg_constraint theirs ON theirs.conrelid = mine.conrelid "
        "AND theirs.contype = 'c' AND theirs.oid <> mine.oid AND (theirs.conname = :name "
        "OR theirs.conname ~ ('^' || :name || '_[0-9]+$')) AND pg_get_constraintdef(theirs.oid) = "
        "pg_get_constraintdef(mine.oid) WHERE mine.conrelid = to_regclass(:table) AND mine.conname = :free"
    )
    if free != name and connection.scalar(query, {"name": name, "table": table, "free": free}):
        connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {free}")


def drop_index(connection: sa.Connection, table: str, name: str) -> None:
    """Drop the index that `create_index` made, if it made one."""
    schema, _, bare = table.partition(".")
    query = sa.text(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = to_regclass(:table) AND (c.relname = :name OR c.relname ~ ('^' || :name || '_[0-9]+$'))"
    )
    for found in connection.scalars(query, {"table": table, "name": name}).all():
        if not is_adopted(connection, "index", schema, bare, found):
            connection.exec_driver_sql(f"DROP INDEX {schema}.{found}")


def create_trigger(connection: sa.Connection, table: str, name: str, definition: str) -> None:
    """Create the trigger: `{name}` and `{table}` of the definition are filled in."""
    query = sa.text("SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass(:table) AND tgname = :name")
    free = next(n for n in names(name) if not connection.scalar(query, {"table": table, "name": n}))
    connection.exec_driver_sql(definition.format(name=free, table=table))


def drop_triggers(connection: sa.Connection, table: str, function: str) -> None:
    """Drop what runs this function of ours on the table, by whatever name."""
    query = sa.text(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(:table) AND tgfoid = to_regprocedure(:function)"
    )
    quote = connection.dialect.identifier_preparer.quote
    for found in connection.scalars(query, {"table": table, "function": f"{function}()"}).all():
        connection.exec_driver_sql(f"DROP TRIGGER {quote(found)} ON {table}")


def require_free_functions(connection: sa.Connection, comments: Mapping[str, str]) -> None:
    """Raise AdoptionError where somebody else has a function of such a signature; ours carry these comments."""
    query = sa.text(
        "SELECT signature, obj_description(to_regprocedure(signature), 'pg_proc') "
        "FROM unnest(cast(:signatures AS text[])) signature WHERE to_regprocedure(signature) IS NOT NULL"
    )
    for signature, found in connection.execute(query, {"signatures": list(comments)}):
        if found != comments[signature]:
            raise AdoptionError(
                f"the function {signature} is there already and is not this application's; rename it. "
                "Nothing was changed"
            )


def _found(connection: sa.Connection, schema: str, name: str) -> Index | None:
    row = connection.execute(
        sa.text(
            "SELECT coalesce(t.relname, ''), coalesce(i.indisunique, false), coalesce(i.indisvalid, false), "
            "coalesce(pg_get_indexdef(i.indexrelid), '') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class t ON t.oid = i.indrelid "
            "WHERE n.nspname = :schema AND c.relname = :name"
        ),
        {"schema": schema, "name": name},
    ).one_or_none()
    return None if row is None else Index(row[0], row[1], row[2], row[3].partition(" USING ")[2])


def _as_made(connection: sa.Connection, table: str, on: str, *, unique: bool) -> Index | None:
    """What PostgreSQL says of such an index: it rewrites definitions, so that texts can't be compared."""
    schema, _, bare = table.partition(".")
    attempt = connection.begin_nested()
    try:
        connection.exec_driver_sql(f"CREATE TABLE {schema}.{SCRATCH} (LIKE {table})")
        create_index(connection, f"{schema}.{SCRATCH}", f"{SCRATCH}_index", on, unique=unique)
        made = _found(connection, schema, f"{SCRATCH}_index")
    finally:
        attempt.rollback()
    return made and made._replace(table=bare)
