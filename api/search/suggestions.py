"""Completions of what somebody types: names, colours, materials and tags of what they may find, most used first."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Integer, Text, case, cast, func, literal_column, select, union_all
from sqlalchemy.dialects.postgresql import JSONB

from api.errors import BadUserInput
from api.lists.conditions import Condition, Shape, shape_of, shape_to_sql
from api.search.query import words_of
from api.search.store import STEPWISE, once
from api.stores.stores import Stores
from models.statements import Parameters, Statement, compile_select

LONGEST: Final = 100
"""Characters of a prefix."""
LONGEST_TEXT: Final = 255
"""Characters of what is suggested: names have no more, and what is longer completes nothing."""
SHORTEST_STEM: Final = 3
LONGEST_ENDING: Final = 4
"""Letters that a stem lacks of what was typed: `dressin` begins *dressing*, which is indexed as `dress`."""
LOOKS: Final = ("color", "material")
LOOKED_AT: Final = 1000
"""Objects of a type whose texts are looked at, which takes longer than to rank them."""


class Suggested(NamedTuple):
    """A text, and how many of the objects have it."""

    text: str
    uses: int


def read_prefix(prefix: str) -> str:
    """What is to be completed, with single blanks. Raises BadUserInput where it is blank or too long."""
    if len(prefix) > LONGEST:
        raise BadUserInput(f"prefix must have at most {LONGEST} characters.")
    if not prefix.strip():
        raise BadUserInput("prefix must not be blank.")
    return " ".join(prefix.replace("\x00", " ").split())


async def suggested(stores: Stores, prefix: str, size: int, scopes: Sequence[tuple[str, Condition]]) -> list[Suggested]:
    """Texts of these objects that begin with the prefix, most used first."""
    words = words_of(prefix)
    if not words or not size:
        return []
    *whole, begun = words
    values: list[Any] = [" & ".join(f"'{word}'" for word in whole), f"'{begun}'", _begun(begun), prefix]
    shapes = tuple((name, shape_of(scope, values)) for name, scope in scopes)
    rows = await stores.fetch(_suggested(shapes), [*values, size])
    return [Suggested(row["text"], row["count"]) for row in rows]


def _begun(word: str) -> str:
    """PostgreSQL's query for stems of whatever begins with the word, in anything but descriptions."""
    shorter = range(max(SHORTEST_STEM, len(word) - LONGEST_ENDING), len(word))
    stems = [*(word[:length] for length in shorter), word[:-1] + "i" if word[-1] in "yY" else word]
    return " | ".join([f"'{word}':*ABC", *(f"'{stem}':ABC" for stem in stems)])


@lru_cache(256)
def _suggested(shapes: tuple[tuple[str, Shape], ...]) -> Statement:
    parameters = Parameters()
    matching = once(_matching(parameters))
    beginning = once(func.shared.search_text(parameters.take(Text()), type_=Text))
    parts = []
    for name, shape in shapes:
        searched = STEPWISE[name]
        parts.append(
            select(cast(searched.id, Text).label("key"), _texts(searched.columns).label("texts"))
            .select_from(searched.source)
            .where(
                searched.words.op("@@", is_comparison=True)(matching),
                shape_to_sql(shape, searched.columns, parameters.take),
            )
            .limit(literal_column(str(LOOKED_AT)))
        )
    found = union_all(*(select(part.subquery()) for part in parts)).subquery("found")
    each = func.jsonb_array_elements(found.c.texts).table_valued("value", name="each", joins_implicitly=True)
    # OFFSET keeps PostgreSQL from working texts out again wherever they are named
    not_merged: ColumnElement[Any] = literal_column("0")
    texts = (
        select(found.c.key, func.btrim(each.c.value.op("#>>")(literal_column("'{}'")), type_=Text).label("text"))
        .where(func.jsonb_typeof(each.c.value) == literal_column("'string'"))
        .offset(not_merged)
        .subquery("texts")
    )
    said = (
        select(texts.c.key, texts.c.text, func.shared.search_text(texts.c.text, type_=Text).label("plain"))
        .where(func.length(texts.c.text) <= literal_column(str(LONGEST_TEXT)))
        .offset(not_merged)
        .subquery("said")
    )
    uses = func.count(said.c.key.distinct())
    return compile_select(
        # of ways to write it, the most usual
        select(func.mode().within_group(said.c.text.collate("C")).label("text"), cast(uses, Integer).label("count"))
        .where(func.starts_with(said.c.plain, beginning))
        .group_by(said.c.plain)
        .order_by(uses.desc(), said.c.plain.collate("C"))
        .limit(parameters.take(Integer()))
    )


def _matching(parameters: Parameters) -> ColumnElement[Any]:
    """The query that the index is asked, of the words before the last, and of the last as a word and as a beginning.

    A last word that is in no index, since all texts have it (`of`), is left out where there are others.
    """
    language = func.shared.search_language()
    whole, word, begun = (func.shared.search_text(parameters.take(Text())) for _ in range(3))
    before, last = func.to_tsquery(language, whole), func.to_tsquery(literal_column("'simple'::regconfig"), begun)
    nodes = func.numnode(func.to_tsquery(language, word))
    left_out = (func.numnode(before) > literal_column("0")) & (nodes == literal_column("0"))
    return case((left_out, before), else_=before.op("&&")(last))


def _texts(columns: Any) -> ColumnElement[Any]:
    """An array of whatever may be suggested of an object, which may be anything but a text, too."""
    properties = columns.get("properties")
    if properties is None:
        return _array([columns["name"]], columns["tags"])
    looks = [properties.op("->")(literal_column(f"'{look}'")) for look in LOOKS]
    return _array([columns["name"], *looks], properties.op("->")(literal_column("'tags'")))


def _array(texts: Sequence[ColumnElement[Any]], tags: ColumnElement[Any]) -> ColumnElement[Any]:
    listed = case(
        (func.jsonb_typeof(tags) == literal_column("'array'"), tags), else_=literal_column("'[]'::jsonb", JSONB)
    )
    return func.jsonb_build_array(*texts).op("||")(listed)
