"""Facets of what a search finds: of each type one statement for all that are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Text, literal_column

from api.lists.conditions import Condition
from api.lists.facet_statements import FacetsShape, answering, answers_of, facets_shape, matching
from api.lists.facets import Answer, Faceted, FacetKey, FacetQuestion, NumberRange, by_facet_question, facets_of
from api.lists.keyset import MAX_STATEMENTS, Table
from api.search.store import STEPWISE, Question, matches, once, tsquery
from api.stores.stores import Stores
from documents.design import STATUSES
from models.statements import Parameters, Statement

COUNTED: Final = 10_000
"""Objects of a type that are counted. Where more match, these are the ones that PostgreSQL comes upon first."""
LOADERS: Final = {"CatalogItem": "searched_items_facets", "Design": "searched_designs_facets"}
_TABLES: Final = {name: Table(searched.columns) for name, searched in STEPWISE.items()}
_STATUSES: Final = ", ".join(f"'{each}'" for each in STATUSES)
_STATUS: Final = literal_column(
    f"CASE WHEN design.design_search.status IN ({_STATUSES}) THEN design.design_search.status END", Text()
)
_VALUES: Final[Mapping[str, Mapping[str, ColumnElement[Any]]]] = {"CatalogItem": {}, "Design": {"status": _STATUS}}
"""What is counted in place of columns: of other statuses than there are, none."""


def faceted(type_name: str, question: Question | None, condition: Condition, scope: Condition) -> Faceted:
    """How the facets of the objects of this type are asked for: of none where nothing can be found."""
    words = "" if question is None else question.matching
    return Faceted(LOADERS[type_name], FacetQuestion(None, condition, scope, words))


async def items(stores: Stores, keys: Sequence[FacetKey], names: frozenset[str]) -> list[Answer]:
    """The answers of facets over the catalog items that searches find."""
    return await _read("CatalogItem", stores, keys)


async def designs(stores: Stores, keys: Sequence[FacetKey], names: frozenset[str]) -> list[Answer]:
    """The answers of facets over the designs that searches find."""
    return await _read("Design", stores, keys)


async def _read(type_name: str, stores: Stores, keys: Sequence[FacetKey]) -> list[Answer]:
    answers: dict[FacetKey, Answer] = {}
    for question, theirs in by_facet_question(keys).items():
        facets, values = facets_of(question, theirs), list[Any]([question.words])
        # none is among those that are counted
        facets = replace(
            facets, sizes={name: size + (name in _VALUES[type_name]) for name, size in facets.sizes.items()}
        )
        shape = facets_shape(facets, values)
        (row,) = await stores.fetch(_facets(type_name, shape), values)
        found = answers_of(row, _TABLES[type_name], facets)
        for name in _VALUES[type_name].keys() & found.keys():
            counts = found[name]
            assert not isinstance(counts, NumberRange)
            found[name] = [each for each in counts if each.value is not None]
        answers.update({key: key.of(found[key.field]) for key in theirs})
    return [answers[key] for key in keys]


@lru_cache(MAX_STATEMENTS)
def _facets(type_name: str, shape: FacetsShape) -> Statement:
    parameters, searched = Parameters(), STEPWISE[type_name]
    has_words = matches(searched, once(tsquery(parameters.take(Text()))))
    rows = matching(_TABLES[type_name], shape, parameters, _VALUES[type_name]).select_from(searched.source)
    return answering(rows.where(has_words).limit(literal_column(str(COUNTED))), shape, parameters)
