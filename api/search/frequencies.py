"""How many of the objects that a viewer may find have a word."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Text, func, literal_column, select

from api.lists.conditions import Condition, Shape, shape_of, shape_to_sql
from api.search.store import STEPWISE, matches, typed_words
from api.stores.stores import Stores
from models import DesignWords
from models.distribution import distribution
from models.statements import Parameters, Statement, compile_select

FREQUENT: Final = 100
"""Objects up to which it is counted how many have a word."""
_DISTRIBUTED: Final = frozenset({"Design"} if distribution(DesignWords) is not None else ())
"""Types whose words are on several machines, where there are several."""


async def frequencies(stores: Stores, words: Sequence[str], scopes: Sequence[tuple[str, Condition]]) -> dict[str, int]:
    """How many objects of these have each word, up to `FREQUENT` of each type."""
    apart = _DISTRIBUTED if stores.distribution.is_distributed else frozenset()
    together = [(name, scope) for name, scope in scopes if name not in apart]
    found = dict.fromkeys(words, 0)
    if together:
        values: list[Any] = [list(words)]
        shapes = tuple((name, shape_of(scope, values)) for name, scope in together)
        found |= {row["word"]: row["count"] for row in await stores.fetch(_frequencies(shapes), values)}
    for name, scope in scopes:
        if name in apart:
            # Citus takes no LIMIT for each of several words, and without one a usual word is counted to its end
            for word in found:
                values = [word]
                shape = shape_of(scope, values)
                ((count,),) = await stores.fetch(_frequency_alone(name, shape), values)
                found[word] += count
    return found


@lru_cache(256)
def _frequencies(shapes: tuple[tuple[str, Shape], ...]) -> Statement:
    parameters = Parameters()
    typed = typed_words(parameters)
    counts = [_frequency(name, shape, parameters, typed.c.word, typed) for name, shape in shapes]
    return compile_select(select(typed.c.word, sum(counts[1:], start=counts[0]).label("count")).select_from(typed))


@lru_cache(256)
def _frequency_alone(name: str, shape: Shape) -> Statement:
    parameters = Parameters()
    return compile_select(select(_frequency(name, shape, parameters, parameters.take(Text())).label("count")))


def _frequency(name: str, shape: Shape, parameters: Parameters, word: ColumnElement[Any], *typed: Any) -> Any:
    searched = STEPWISE[name]
    those: Select[Any] = (
        select(literal_column("1"))
        .select_from(searched.source)
        .where(
            matches(searched, func.plainto_tsquery(func.shared.search_language(), word)),
            shape_to_sql(shape, searched.columns, parameters.take),
        )
        .correlate(*typed)
        .limit(literal_column(str(FREQUENT)))
    )
    return select(func.count()).select_from(those.subquery()).scalar_subquery()
