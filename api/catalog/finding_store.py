"""Statements on `catalog.catalog_items` that seek candidates: for what is similar to an item, and for what fits a body.

What they read is bounded, however many items there are. Of an item's material, colours, category and type, the newest
items with the same value are candidates, `MOST_OF_VALUE` each, along an index in this order. The index of tags has no
order, so a tag is only sought by where `RARE` items or fewer have it, and these are all read: what more items share
says little. Of size tables, those of the newest items are read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    String,
    column,
    func,
    literal,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB

import models
from api.catalog.sizes import SizeTable, table_of
from api.catalog.traits import traits_of
from api.lists.conditions import Condition, Shape, shape_of, shape_to_sql
from api.similarity.traits import Candidate
from api.stores.stores import Stores
from models.catalog_item import TAGS, TEXTS
from models.statements import Parameters, Statement, compile_select

MOST_OF_VALUE: Final = 50
RARE: Final = 100
MOST_TABLES: Final = 1000

CandidateKey = tuple[str, str, Condition]
"""What candidates share (`tag`, `material`, `color`, `category` or `type`), its value, and who may see them."""

_COLUMNS: Final = dict(models.CatalogItem.__table__.columns.items())
_ID, _CREATED_AT = _COLUMNS["id"], _COLUMNS["created_at"]
_TYPE, _CATEGORY, _PROPERTIES = _COLUMNS["type"], _COLUMNS["category"], _COLUMNS["properties"]
_VALUES: Final = ARRAY(String())

_BY: Final[Mapping[str, ColumnElement[Any]]] = {
    "material": TEXTS["material"],
    "color": TEXTS["color"],
    "category": _CATEGORY,
    "type": _TYPE,
}
# spelt as in the index
_SIZES: Final = literal_column("(catalog.catalog_items.properties -> 'sizes')", JSONB)


async def candidates(stores: Stores, keys: Sequence[CandidateKey], names: frozenset[str]) -> list[Sequence[Candidate]]:
    """The items that share each value. One statement for all values with the same scope."""
    scopes: dict[Condition, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for kind, value, scope in keys:
        scopes[scope][kind].append(value)
    found: dict[CandidateKey, list[Candidate]] = defaultdict(list)
    for scope, wanted in scopes.items():
        values: list[Any] = []
        shape: Any = ()
        for kind in ("tag", *_BY):
            values.append(wanted[kind])
            shape = shape_of(scope, values)
        known: dict[Any, Candidate] = {}  # the same item is found by several values
        for row in await stores.fetch(_candidates(shape), values):
            candidate = known.get(row["id"])
            if candidate is None:
                traits = traits_of(row["type"], row["category"], row["properties"])
                candidate = known[row["id"]] = Candidate(row["id"], row["created_at"], traits)
            found[row["kind"], row["value"], scope].append(candidate)
    return [found[key] for key in keys]


@lru_cache(maxsize=16)
def _candidates(scope: Shape) -> Statement:
    """The values of each kind are a parameter, followed by those of the scope."""
    parameters = Parameters()
    parts = [_of_tags(scope, parameters), *(_of(kind, by, scope, parameters) for kind, by in _BY.items())]
    found = union_all(*parts).subquery("found")
    return compile_select(select(*found.c))


def _of(kind: str, by: ColumnElement[Any], scope: Shape, parameters: Parameters) -> Select[Any]:
    """The newest items with each value.

    Written as a range, so that only the index that begins with the value has this order: of an equality, PostgreSQL may
    go through all items in the order of time, and of a rare value it would go through all of them.
    """
    asked = _asked(kind, parameters)
    rows = (
        _items(scope, (by >= asked.c.value) & (by <= asked.c.value), parameters)
        .order_by(by.desc(), _CREATED_AT.desc(), _ID.desc())
        .limit(literal_column(str(MOST_OF_VALUE)))
        .lateral()
    )
    return select(literal(kind, String()).label("kind"), asked.c.value, *rows.c).select_from(asked.join(rows, true()))


def _of_tags(scope: Shape, parameters: Parameters) -> Select[Any]:
    """All items with each tag that few have."""
    asked = _asked("tag", parameters)
    # by its name: SQLAlchemy would put the values into the subquery once more
    with_it = TAGS.op("?", is_comparison=True)(literal_column("tags.value", String()))
    some = _items(scope, with_it, parameters).limit(literal_column(str(RARE + 1))).subquery()
    counted = select(*some.c, func.count().over().label("number")).subquery()
    rows = select(*(each for each in counted.c if each.key != "number")).where(counted.c.number <= RARE).lateral()
    return select(literal("tag", String()).label("kind"), asked.c.value, *rows.c).select_from(asked.join(rows, true()))


def _asked(kind: str, parameters: Parameters) -> FromClause:
    return func.unnest(parameters.take(_VALUES)).table_valued(column("value", String())).render_derived(f"{kind}s")


def _items(scope: Shape, where: ColumnElement[bool], parameters: Parameters) -> Select[Any]:
    return select(_ID, _CREATED_AT, _TYPE, _CATEGORY, _PROPERTIES).where(
        shape_to_sql(scope, _COLUMNS, parameters.take), where
    )


async def newest_size_tables(
    stores: Stores, scopes: Sequence[Condition], names: frozenset[str]
) -> list[list[tuple[Any, SizeTable]]]:
    """The newest items with a size table in each scope, by id, with their tables. One statement a scope."""
    found = []
    for scope in scopes:
        values: list[Any] = []
        statement = _newest_size_tables(shape_of(scope, values))
        rows = await stores.fetch(statement, [*values, MOST_TABLES])
        found.append([(row[0], table_of(row[1])) for row in rows])
    return found


@lru_cache(maxsize=16)
def _newest_size_tables(scope: Shape) -> Statement:
    parameters = Parameters()
    return compile_select(
        select(_ID, _SIZES.label("sizes"))
        .where(shape_to_sql(scope, _COLUMNS, parameters.take), func.jsonb_typeof(_SIZES) == literal_column("'object'"))
        .order_by(_CREATED_AT.desc(), _ID.desc())
        .limit(parameters.take(Integer()))
    )
