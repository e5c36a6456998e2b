"""Keyset pages in both stores: what comes after or before a position, nulls included.

PostgreSQL takes nulls for the largest values, MongoDB for the smallest; each keeps its own habit, which its indexes
share. With owners, one statement answers the same page for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, column, func, literal, or_, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as UUIDType

from api.conditions import Condition, both, stored_name, to_mongo, to_sql
from api.pagination import Order, PageRequest, Position
from models.statements import Parameters, Statement, compile_select

MAX_STATEMENTS: Final = 512
"""Compiled statements that are kept, of each kind."""
_UUIDS: Final = ARRAY(UUIDType(as_uuid=True))


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What the lists of one PostgreSQL table need: its columns by Python name, for selecting, filtering, ordering."""

    columns: Mapping[str, ColumnElement[Any]]

    def select(self, names: frozenset[str]) -> list[ColumnElement[Any]]:
        """The columns of these paths; of a path into JSONB (`measurements.height`) the column."""
        return [self.columns[name] for name in sorted({path.partition(".")[0] for path in names})]


@lru_cache(MAX_STATEMENTS)
def by_keys(table: Table, column: str, names: frozenset[str], *where: ColumnElement[bool]) -> Statement:
    """The rows whose `column` is one of the values in its one parameter; with `where`, the live ones that meet it."""
    columns = table.columns
    if where:
        where = (columns["deleted_at"].is_(None), *where)
    keys = Parameters().take(_UUIDS)
    wanted = table.select(names | {column, "id", "deleted_at"})
    return compile_select(select(*wanted).where(columns[column] == func.any(keys), *where))


def sql_page(table: Table, request: PageRequest, names: frozenset[str]) -> Select[Any]:
    """One row more than the page has, in the order of fetching (reversed for a backward page)."""
    order, columns = request.order, table.columns
    descending = order.descending != request.backwards
    conditions = [to_sql(request.filter, columns)]
    if request.after is not None:
        conditions.append(_sql_beyond(order, request.after, columns, reverse=False))
    if request.before is not None:
        conditions.append(_sql_beyond(order, request.before, columns, reverse=True))
    by = [columns[order.field], columns["id"]]
    wanted = names | {"id", order.field}
    return (
        select(*table.select(wanted))
        .where(*conditions)
        .order_by(*(c.desc() if descending else c.asc() for c in by))
        .limit(request.size + 1)
    )


def sql_pages_by_owner(
    table: Table,
    request: PageRequest,
    names: frozenset[str],
    owner: str,
    owners: Sequence[UUID],
) -> Select[Any]:
    """The page of every owner: rows carry their owner as `owner_key`."""
    keys = (
        func.unnest(literal(list(owners), ARRAY(UUIDType(as_uuid=True))))
        .table_valued(column("owner_key", UUIDType(as_uuid=True)))
        .render_derived("owners")
    )
    page = sql_page(table, request, names).where(table.columns[owner] == keys.c.owner_key).lateral("page")
    return select(keys.c.owner_key, *page.c).select_from(keys.join(page, true()))


def sql_counts_by_owner(table: Table, condition: Condition, owner: str, owners: Sequence[UUID]) -> Select[Any]:
    """How long the whole list of every owner is: rows of owner and count; none for an empty list."""
    column_ = table.columns[owner]
    return (
        select(column_, func.count())
        .where(column_ == func.any(literal(list(owners), ARRAY(UUIDType(as_uuid=True)))))
        .where(to_sql(condition, table.columns))
        .group_by(column_)
    )


def _sql_beyond(
    order: Order, position: Position, columns: Mapping[str, ColumnElement[Any]], *, reverse: bool
) -> ColumnElement[bool]:
    """What lies after the position in the list (before it: `reverse`)."""
    value_column, key_column = columns[order.field], columns["id"]
    nullable = bool(getattr(value_column, "nullable", True))
    towards_smaller = order.descending != reverse
    if position.value is None:  # among the nulls, which are the largest
        rest = and_(
            value_column.is_(None),
            key_column < position.key if towards_smaller else key_column > position.key,
        )
        return or_(rest, value_column.is_not(None)) if towards_smaller else rest
    here = tuple_(literal(position.value, value_column.type), literal(position.key, key_column.type))
    there = tuple_(value_column, key_column)
    if towards_smaller:
        return there < here
    return or_(there > here, value_column.is_(None)) if nullable else there > here


def mongo_filter(request: PageRequest) -> dict[str, Any]:
    """The MongoDB filter of a page: what the list holds, between the cursors."""
    parts = [to_mongo(request.filter)]
    if request.after is not None:
        parts.append(_mongo_beyond(request.order, request.after, reverse=False))
    if request.before is not None:
        parts.append(_mongo_beyond(request.order, request.before, reverse=True))
    return both(*parts)


def mongo_sort(request: PageRequest) -> dict[str, int]:
    """The sort of a page in the order of fetching."""
    direction = -1 if request.order.descending != request.backwards else 1
    return {stored_name(request.order.field): direction, "_id": direction}


def _mongo_beyond(order: Order, position: Position, *, reverse: bool) -> dict[str, Any]:
    name, value, key = stored_name(order.field), position.value, position.key
    towards_smaller = order.descending != reverse
    among_equals = {name: value, "_id": {"$lt" if towards_smaller else "$gt": key}}
    if value is None:  # among the nulls, which are the smallest
        return among_equals if towards_smaller else {"$or": [among_equals, {name: {"$ne": None}}]}
    if towards_smaller:
        return {"$or": [{name: {"$lt": value}}, among_equals, {name: None}]}
    return {"$or": [{name: {"$gt": value}}, among_equals]}


def projection(names: frozenset[str], order: Order | None = None) -> dict[str, int]:
    """The projection of these paths; a parent makes its parts superfluous (MongoDB refuses both together)."""
    paths = {stored_name(name) for name in names} | {"_id"}
    if order is not None:
        paths.add(stored_name(order.field))
    return {path: 1 for path in sorted(paths) if not _has_parent(path, paths)}


def _has_parent(path: str, paths: set[str]) -> bool:
    parts = path.split(".")
    return any(".".join(parts[:depth]) in paths for depth in range(1, len(parts)))
