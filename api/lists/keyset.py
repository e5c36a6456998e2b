"""Keyset pages in both stores: the rows after or before a position, where order values may be null.

PostgreSQL sorts nulls as the largest values, MongoDB as the smallest. Each store keeps its own order, which its indexes
have, too. For lists that belong to owners, one statement fetches the page of every owner.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    cast,
    column,
    func,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as UUIDType

from api.lists.bson_order import Odd, types_beyond
from api.lists.conditions import Shape, both, shape_of, shape_to_sql, stored_name, to_mongo
from api.lists.pagination import Order, PageRequest, Position
from models.statements import Parameters, Statement, compile_select

MAX_STATEMENTS: Final = 512
"""The most compiled statements that are kept, of each kind."""
_UUIDS: Final = ARRAY(UUIDType(as_uuid=True))


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The columns of a PostgreSQL table by Python name, for selecting, filtering and ordering."""

    columns: Mapping[str, ColumnElement[Any]]

    def select(self, names: frozenset[str]) -> list[ColumnElement[Any]]:
        """The columns for these paths. A path into JSONB (`measurements.height`) selects its whole column."""
        return [self.columns[name] for name in sorted({path.partition(".")[0] for path in names})]


@lru_cache(MAX_STATEMENTS)
def by_keys(table: Table, column: str, names: frozenset[str], *where: ColumnElement[bool]) -> Statement:
    """The rows whose `column` is one of the UUIDs in the only parameter, a text separated by commas.

    With `where`, only live rows that meet these conditions.
    """
    columns = table.columns
    if where:
        where = (columns["deleted_at"].is_(None), *where)
    wanted = table.select(names | {column, "id", "deleted_at"})
    return compile_select(select(*wanted).where(columns[column] == func.any(_uuids(Parameters())), *where))


@lru_cache(MAX_STATEMENTS)
def by_keys_of_owners(table: Table, names: frozenset[str], owner: str) -> Statement:
    """The rows whose id is one of the UUIDs in the first parameter, and whose `owner` is one of those in the second.

    Both are texts separated by commas.
    """
    columns, parameters = table.columns, Parameters()
    wanted = table.select(names | {"id", "deleted_at"})
    of_keys = columns["id"] == func.any(_uuids(parameters))
    return compile_select(select(*wanted).where(of_keys, columns[owner] == func.any(_uuids(parameters))))


def _uuids(parameters: Parameters) -> ColumnElement[Any]:
    """The UUIDs in a parameter, a text separated by commas."""
    return cast(func.string_to_array(parameters.take(Text()), literal_column("','")), _UUIDS)


class PageShape(NamedTuple):
    """What the SQL of a page depends on; everything else is a parameter.

    `after_null` and `before_null` say whether the value of the cursor is null; None where there is no cursor.
    """

    condition: Shape
    field: str
    descending: bool
    backwards: bool
    after_null: bool | None
    before_null: bool | None


def page_shape(request: PageRequest, values: list[Any]) -> PageShape:
    """The shape of a page. The values of its parameters are appended to `values`."""
    order, after, before = request.order, request.after, request.before
    shape = PageShape(
        shape_of(request.filter, values),
        order.field,
        order.descending,
        request.backwards,
        None if after is None else after.value is None,
        None if before is None else before.value is None,
    )
    for position in (after, before):
        if position is not None:
            values += (position.key,) if position.value is None else (position.value, position.key)
    values.append(request.size + 1)
    return shape


@lru_cache(MAX_STATEMENTS)
def page(table: Table, shape: PageShape, names: frozenset[str]) -> Statement:
    """One row more than the page has, in the order of fetching (reversed for a backward page).

    An index can lead to the rows beyond a value, or to the nulls, but not to both in one scan: so each is a SELECT.
    """
    conditions, positions, limit = _parts(table, shape, Parameters())
    selects = [
        _ordered(table, shape, names, limit, *conditions, *alternatives)
        for alternatives in itertools.product(*positions)
    ]
    if len(selects) == 1:
        return compile_select(selects[0])
    rows = union_all(*selects).subquery("rows")
    by = _order(shape, rows.c[shape.field], rows.c["id"])
    return compile_select(select(*rows.c).order_by(*by).limit(limit))


@lru_cache(MAX_STATEMENTS)
def pages_by_owner(table: Table, shape: PageShape, names: frozenset[str], owner: str) -> Statement:
    """The page of every owner. The first column, `owner_key`, is the owner; the owners are the first parameter."""
    parameters = Parameters()
    keys = (
        func.unnest(parameters.take(_UUIDS))
        .table_valued(column("owner_key", UUIDType(as_uuid=True)))
        .render_derived("owners")
    )
    rows = _page(table, shape, names, parameters).where(table.columns[owner] == keys.c.owner_key).lateral("page")
    return compile_select(select(keys.c.owner_key, *rows.c).select_from(keys.join(rows, true())))


@lru_cache(MAX_STATEMENTS)
def numbered_pages_by_owner(table: Table, shape: PageShape, names: frozenset[str], owner: str) -> Statement:
    """The same for a table that is distributed by its owner, where a lateral join isn't possible.

    Rows of an owner are all on one shard, which numbers them. It reads all of them, and not the page alone.
    """
    parameters = Parameters()
    key = table.columns[owner]
    of_owners = key == func.any(parameters.take(_UUIDS))
    conditions, positions, limit = _parts(table, shape, parameters)
    by = _order(shape, table.columns[shape.field], table.columns["id"])
    numbered = (
        select(
            key.label("owner_key"),
            *table.select(names | {"id", shape.field}),
            func.row_number().over(partition_by=key, order_by=by).label("place"),
        )
        .where(of_owners, *conditions, *(or_(*alternatives) for alternatives in positions))
        .subquery("page")
    )
    rows = [column for column in numbered.c if column.key != "place"]
    return compile_select(
        select(*rows).where(numbered.c.place <= limit).order_by(numbered.c.owner_key, numbered.c.place)
    )


@lru_cache(MAX_STATEMENTS)
def count(table: Table, condition: Shape) -> Statement:
    """The length of the whole list."""
    where = shape_to_sql(condition, table.columns, Parameters().take)
    return compile_select(select(func.count().label("count")).select_from(table.columns["id"].table).where(where))


@lru_cache(MAX_STATEMENTS)
def counts_by_owner(table: Table, condition: Shape, owner: str) -> Statement:
    """The length of the list of every owner: rows of owner and count, no row for an empty list.

    The owners are the first parameter.
    """
    column_, parameters = table.columns[owner], Parameters()
    of_owners = column_ == func.any(parameters.take(_UUIDS))
    where = shape_to_sql(condition, table.columns, parameters.take)
    return compile_select(select(column_, func.count().label("count")).where(of_owners, where).group_by(column_))


def _page(table: Table, shape: PageShape, names: frozenset[str], parameters: Parameters) -> Select[Any]:
    conditions, positions, limit = _parts(table, shape, parameters)
    return _ordered(table, shape, names, limit, *conditions, *(or_(*alternatives) for alternatives in positions))


def _parts(
    table: Table, shape: PageShape, parameters: Parameters
) -> tuple[list[ColumnElement[bool]], list[list[ColumnElement[bool]]], ColumnElement[int]]:
    """The conditions, the alternatives for each cursor (of which a row meets at most one), and the limit."""
    conditions = [shape_to_sql(shape.condition, table.columns, parameters.take)]
    positions = [
        _sql_beyond(shape, table.columns, parameters, null=null, reverse=reverse)
        for null, reverse in ((shape.after_null, False), (shape.before_null, True))
        if null is not None
    ]
    return conditions, positions, parameters.take(Integer())


def _ordered(
    table: Table, shape: PageShape, names: frozenset[str], limit: ColumnElement[int], *conditions: ColumnElement[bool]
) -> Select[Any]:
    wanted = table.select(names | {"id", shape.field})
    by = _order(shape, table.columns[shape.field], table.columns["id"])
    return select(*wanted).where(*conditions).order_by(*by).limit(limit)


def _order(shape: PageShape, *columns: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    descending = shape.descending != shape.backwards
    return [column.desc() if descending else column.asc() for column in columns]


def _sql_beyond(
    shape: PageShape, columns: Mapping[str, ColumnElement[Any]], parameters: Parameters, *, null: bool, reverse: bool
) -> list[ColumnElement[bool]]:
    """The rows after a position in the list (with `reverse`, before it): they meet one of these conditions."""
    value_column, key_column = columns[shape.field], columns["id"]
    nullable = bool(getattr(value_column, "nullable", True))
    towards_smaller = shape.descending != reverse
    if null:  # the position is among the nulls, which are the largest
        key = parameters.take(key_column.type)
        rest = and_(value_column.is_(None), key_column < key if towards_smaller else key_column > key)
        return [rest, value_column.is_not(None)] if towards_smaller else [rest]
    here = tuple_(parameters.take(value_column.type), parameters.take(key_column.type))
    there = tuple_(value_column, key_column)
    if towards_smaller:
        return [there < here]
    return [there > here, value_column.is_(None)] if nullable else [there > here]


def mongo_filter(request: PageRequest) -> dict[str, Any]:
    """The MongoDB filter of a page: the objects of the list between the cursors."""
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
    beyond = "$lt" if towards_smaller else "$gt"
    among_equals = {name: value, "_id": {beyond: key}}
    if value is None:  # the position is among the nulls, which are the smallest
        return among_equals if towards_smaller else {"$or": [among_equals, {name: {"$ne": None}}]}
    ways: list[dict[str, Any]] = []
    types = types_beyond(value, smaller=towards_smaller)
    if isinstance(value, Odd):
        value = value.value
    if value is not None:
        ways += [{name: {beyond: value}}, {name: value, "_id": {beyond: key}}]
    if types:
        ways.append({name: {"$type": types}})
    if towards_smaller:
        ways.append({name: None})
    return {"$or": ways} if ways else {"_id": {"$in": []}}


@lru_cache(maxsize=1000)
def projection(names: frozenset[str]) -> dict[str, int]:
    """The projection of these paths. Parts of a projected parent are left out, since MongoDB refuses both together."""
    paths = {stored_name(name) for name in names} | {"_id"}
    return {path: 1 for path in sorted(paths) if not _has_parent(path, paths)}


def _has_parent(path: str, paths: set[str]) -> bool:
    parts = path.split(".")
    return any(".".join(parts[:depth]) in paths for depth in range(1, len(parts)))
