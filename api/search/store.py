"""Statements of search: what is found, how much, and which words there are, as far as a viewer may find it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Boolean,
    ColumnElement,
    FromClause,
    Integer,
    Text,
    and_,
    case,
    cast,
    column,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from api.lists.conditions import Condition, Shape, shape_of, shape_to_sql
from api.stores.stores import Stores
from models import CatalogItem, DesignWords, ItemWords, Spelling
from models.catalog_item import TAGS, TEXTS
from models.statements import Parameters, Record, Statement, compile_select

CANDIDATES: Final = 2000
"""Objects of a type that are ranked. Where more match, these are the ones that PostgreSQL comes upon first."""
SCALE: Final = 1_000_000
"""Scores are whole numbers, so that cursors can compare them."""


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """Where the words of a type are, and by what its objects are narrowed."""

    source: FromClause
    id: ColumnElement[Any]
    words: ColumnElement[Any]
    columns: Mapping[str, ColumnElement[Any]]


_items, _designs = CatalogItem.__table__, DesignWords.__table__
SEARCHED: Final[Mapping[str, Searched]] = {
    "CatalogItem": Searched(
        source=ItemWords.__table__.join(_items, _items.c.id == ItemWords.item_id),
        id=_items.c.id,
        words=ItemWords.__table__.c.words,
        columns={**{each.key: each for each in _items.columns}, **TEXTS, "tags": TAGS},
    ),
    "Design": Searched(
        source=_designs,
        id=_designs.c.id,
        words=_designs.c.words,
        columns={
            **{each.key: each for each in _designs.columns},
            "metadata.tags": _designs.c.tags,
            "deleted_at": null(),
        },
    ),
}
"""By the name of the GraphQL type; columns by the names that its filters and policies use. Deleted designs have no
row."""

# OFFSET keeps PostgreSQL from joining: of a common word, it would read all items to find which of them match
_each = (
    select(_items, TAGS.label("tags"), *(text.label(name) for name, text in TEXTS.items()))
    .where(_items.c.id == ItemWords.item_id)
    .offset(literal_column("0"))
    .lateral("catalog_items")
)
STEPWISE: Final[Mapping[str, Searched]] = {
    **SEARCHED,
    "CatalogItem": Searched(
        source=ItemWords.__table__.join(_each, true()),
        id=_each.c.id,
        words=ItemWords.__table__.c.words,
        columns={each.key: each for each in _each.c},
    ),
}
"""For what ends when enough is found: each item is read when the words lead to it."""


class Found(NamedTuple):
    """An object that was found, and its place in the ranking."""

    score: int
    type_name: str
    key: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched: PostgreSQL's texts of the query, and of each type what may be found.

    All that is `matching` is found, and ranked by what it has of the words `exactly` and `widely`.
    """

    matching: str
    exactly: str
    widely: str
    scopes: tuple[tuple[str, Condition], ...]

    def shapes(self, values: list[Any]) -> tuple[tuple[str, Shape], ...]:
        """The shapes of the scopes. Their values are appended to `values`."""
        return tuple((name, shape_of(scope, values)) for name, scope in self.scopes)


async def page(stores: Stores, question: Question, size: int, after: Found | None) -> list[Found]:
    """The best of what is found, or the best after this one; one more than `size`."""
    values: list[Any] = [question.matching, question.exactly, question.widely]
    shapes = question.shapes(values)
    values += () if after is None else after
    alike = question.exactly == question.widely
    rows = await stores.fetch(_page(shapes, after is not None, alike), [*values, size + 1])
    return [Found(row["score"], row["type_name"], row["key"]) for row in rows]


async def count(stores: Stores, question: Question) -> int:
    """How much is found in all."""
    values: list[Any] = [question.matching]
    shapes = question.shapes(values)
    rows = await stores.fetch(_count(shapes), values)
    total: int = rows[0][0]
    return total


async def spellings(stores: Stores, words: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Of each word: as it is searched, and the words that it may be mistyped from, whoever may see them."""
    rows = await stores.fetch(_spellings(), [list(words)])
    return [(row["plain"], (row["near"] or "").split()) for row in rows]


async def texts(stores: Stores, found: Sequence[Found], scopes: Sequence[tuple[str, Condition]]) -> dict[Found, Record]:
    """The texts of what was found, as far as it still may be: name, properties, tags and description."""
    values: list[Any] = []
    shapes = []
    for name, scope in scopes:
        values.append([each.key for each in found if each.type_name == name])
        shapes.append((name, shape_of(scope, values)))
    rows = {(row["type_name"], row["key"]): row for row in await stores.fetch(_texts(tuple(shapes)), values)}
    there = {each: rows.get((each.type_name, each.key)) for each in found}
    return {each: row for each, row in there.items() if row is not None}


async def fitting(
    stores: Stores, words: Sequence[tuple[str, bool]], queries: Sequence[str]
) -> list[Sequence[int] | None]:
    """Of each query the places of the words that fit it, counted from one; None where it asks for nothing.

    With each word stands whether it is one of an item's properties.
    """
    rows = await stores.fetch(_fitting(), [list(queries), [word for word, _ in words], [of for _, of in words]])
    return [None if row["is_empty"] else [int(each) for each in (row["places"] or "").split()] for row in rows]


def tsquery(text: ColumnElement[Any]) -> ColumnElement[Any]:
    """PostgreSQL's query of its text."""
    return func.to_tsquery(func.shared.search_language(), func.shared.search_text(text))


def once(query: ColumnElement[Any]) -> ColumnElement[Any]:
    """Read once for the statement, and not for each row; and since PostgreSQL plans without knowing it, the index is
    asked whatever the words are."""
    return select(query).scalar_subquery()


@lru_cache(256)
def _page(shapes: tuple[tuple[str, Shape], ...], goes_on: bool, alike: bool) -> Statement:
    """`alike` says that words are searched exactly and widely by the same query, which is asked once then."""
    parameters = Parameters()
    matching, exactly, widely = (once(tsquery(parameters.take(Text()))) for _ in range(3))
    parts = []
    for name, shape in shapes:
        searched = STEPWISE[name]
        rank: ColumnElement[Any] = func.ts_rank(searched.words, exactly)
        rank = rank * literal_column("2") if alike else rank + func.ts_rank(searched.words, widely)
        parts.append(
            select(
                cast(func.round(rank * SCALE), Integer).label("score"),
                literal_column(f"'{name}'", Text).label("type_name"),
                cast(searched.id, Text).label("key"),
            )
            .select_from(searched.source)
            .where(matches(searched, matching), shape_to_sql(shape, searched.columns, parameters.take))
            .limit(literal_column(str(CANDIDATES)))
        )
    found = union_all(*(select(part.subquery()) for part in parts)).subquery("found")
    score, place = found.c.score, tuple_(found.c.type_name, found.c.key)
    statement = select(found.c.score, found.c.type_name, found.c.key).order_by(score.desc(), *place)
    if goes_on:
        last, last_name, key = parameters.take(Integer()), parameters.take(Text()), parameters.take(Text())
        statement = statement.where(or_(score < last, and_(score == last, place > tuple_(last_name, key))))
    return compile_select(statement.limit(parameters.take(Integer())))


@lru_cache(256)
def _count(shapes: tuple[tuple[str, Shape], ...]) -> Statement:
    parameters = Parameters()
    matching = tsquery(parameters.take(Text()))
    counts = [
        select(func.count())
        .select_from(SEARCHED[name].source)
        .where(matches(SEARCHED[name], matching), shape_to_sql(shape, SEARCHED[name].columns, parameters.take))
        .scalar_subquery()
        for name, shape in shapes
    ]
    return compile_select(select(sum(counts[1:], start=counts[0]).label("count")))


def matches(searched: Searched, query: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the words of an object fit a query."""
    return searched.words.op("@@", is_comparison=True)(query)


def _text_of(name: str) -> ColumnElement[Any]:
    value = _items.c.properties.op("->")(name)
    return case((func.jsonb_typeof(value) == "string", _items.c.properties.op("->>")(name)))


def _texts_in(tags: str) -> ColumnElement[Any]:
    return literal_column(
        f"ARRAY(SELECT tag #>> '{{}}' FROM jsonb_array_elements(CASE jsonb_typeof({tags}) WHEN 'array' THEN {tags} "  # noqa: S608
        "ELSE '[]' END) WITH ORDINALITY AS listed (tag, place) WHERE jsonb_typeof(tag) = 'string' ORDER BY place)"
    )


_TEXTS: Final[Mapping[str, Mapping[str, ColumnElement[Any]]]] = {
    "CatalogItem": {
        "color": _text_of("color"),
        "material": _text_of("material"),
        "texture": _text_of("texture"),
        "pattern_type": _text_of("patternType"),
        "tags": _texts_in("catalog.catalog_items.properties -> 'tags'"),
    },
    "Design": {
        **{name: cast(null(), Text) for name in ("color", "material", "texture", "pattern_type")},
        "tags": _texts_in("design.design_search.tags"),
    },
}


@lru_cache(256)
def _texts(shapes: tuple[tuple[str, Shape], ...]) -> Statement:
    parameters = Parameters()
    parts = []
    for name, shape in shapes:
        searched = SEARCHED[name]
        keys = cast(parameters.take(ARRAY(Text)), ARRAY(searched.id.type))
        parts.append(
            select(
                literal_column(f"'{name}'", Text).label("type_name"),
                cast(searched.id, Text).label("key"),
                cast(searched.columns["name"], Text).label("name"),
                *(text.label(each) for each, text in _TEXTS[name].items()),
                searched.columns["description"].label("description"),
            )
            .select_from(searched.source)
            .where(searched.id == func.any(keys), shape_to_sql(shape, searched.columns, parameters.take))
        )
    return compile_select(select(union_all(*parts).subquery("texts")))


@lru_cache(1)
def _fitting() -> Statement:
    parameters = Parameters()
    asked = typed_words(parameters)
    given = (
        func.unnest(parameters.take(ARRAY(Text)), parameters.take(ARRAY(Boolean)))
        .table_valued(column("word", Text), column("is_property", Boolean), with_ordinality="place")
        .render_derived("given")
    )
    weight: ColumnElement[Any] = literal_column("CASE WHEN given.is_property THEN 'B' ELSE 'D' END::\"char\"")
    vector = func.setweight(
        func.to_tsvector(func.shared.search_language(), func.shared.search_text(given.c.word)), weight
    )
    words = select(given.c.place, vector.label("words")).cte("words").prefix_with("MATERIALIZED")
    query = tsquery(asked.c.word)
    together: ColumnElement[Any] = func.string_agg(cast(words.c.place, Text), literal_column("' '"))
    places = select(together).where(words.c.words.op("@@", is_comparison=True)(query))
    empty: ColumnElement[Any] = func.numnode(query) == 0
    statement = select(empty.label("is_empty"), places.scalar_subquery().label("places"))
    return compile_select(statement.select_from(asked).order_by(asked.c.place))


@lru_cache(1)
def _spellings() -> Statement:
    typed = typed_words(Parameters())
    plain = func.shared.search_text(typed.c.word)
    table = Spelling.__table__
    near = (
        select(func.string_agg(table.c.word.distinct(), literal_column("' '")))
        .where(table.c.spelling.in_(select(func.shared.search_spellings_of(plain))))
        .scalar_subquery()
    )
    return compile_select(select(plain.label("plain"), near.label("near")).select_from(typed).order_by(typed.c.place))


def typed_words(parameters: Parameters) -> Any:
    """Rows of words in their order, which are the next parameter."""
    return (
        func.unnest(parameters.take(ARRAY(Text)))
        .table_valued(column("word", Text), with_ordinality="place")
        .render_derived("typed")
    )
