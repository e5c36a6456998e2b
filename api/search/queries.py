"""The root field `search`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Final

import strawberry

from api.colours.table import names_of
from api.errors import BadUserInput
from api.fields.connections import PageInfo
from api.fields.context import Context
from api.fields.selection import ResolveInfo, selects_any, selects_below
from api.lists.conditions import EVERYTHING, And, Condition
from api.lists.costs import COUNTS, FACETS, READS, Listing, weight_of_condition
from api.lists.pagination import DEFAULT_SIZE, MAX_SIZE
from api.search import store
from api.search.corrections import corrected
from api.search.cursors import SearchCursors
from api.search.facets import faceted
from api.search.highlights import Highlight, highlights
from api.search.inputs import SearchFilter, SearchType, conditions_of
from api.search.query import Query, read_query, to_tsquery
from api.search.types import SearchConnection, SearchEdge
from api.stores.stores import Stores

NEEDS_RESULTS: Final = ("edges", "nodes", "pageInfo", "correctedQuery", COUNTS, FACETS)


@strawberry.type
class SearchQueries:
    @strawberry.field(
        description="What fits the words of a query, in catalog items and designs, the best first. Words are found in "
        'any order and form, the last one while it is being typed; `"several words"` in this order, and `-word` '
        "nowhere. Where words are found nowhere, those that look most like them are searched."
    )
    async def search(
        self,
        info: strawberry.Info[Context],
        query: Annotated[str, strawberry.argument(description="What somebody typed, at most 2000 characters.")],
        types: Annotated[
            list[SearchType] | None, strawberry.argument(description="Only these types; all where it is not given.")
        ] = None,
        filter: Annotated[
            SearchFilter | None,
            strawberry.argument(description="Which of what has the words; all of it where it is not given."),
        ] = None,
        first: Annotated[
            int | None, strawberry.argument(description=f"How many, at most {MAX_SIZE}; 20 where it is not given.")
        ] = None,
        after: Annotated[str | None, strawberry.argument(description="Only what follows what has this cursor.")] = None,
    ) -> SearchConnection | None:
        context = info.context
        size = DEFAULT_SIZE if first is None else first
        if not 0 <= size <= MAX_SIZE:
            raise BadUserInput(f"first must lie between 0 and {MAX_SIZE}.")
        asked = read_query(query)
        conditions = conditions_of(filter, [each for each in SearchType if types is None or each in types])
        searched = [_Searched.of(str(each.value), condition, context) for each, condition in conditions]
        scopes = tuple(each.scope for each in searched)
        context.surcharge += _surcharge(info._raw_info, searched)
        cursors = SearchCursors((asked, conditions))
        place = None if after is None else cursors.read(after)
        results = _Results(asked, _question(asked, scopes))
        if selects_any(info._raw_info, NEEDS_RESULTS):
            results = await _find(context.stores, results, searched, size, place)
        shown, question = results.found[:size], results.question
        marked: dict[store.Found, list[Highlight]] = {}
        if shown and selects_below(info._raw_info, "edges", "highlights"):
            marked = await highlights(context.stores, results.query, shown, scopes, names_of)
        return SearchConnection(
            question=question,
            by_type={each.name: faceted(each.name, question, each.condition, each.visible) for each in searched},
            edges=[SearchEdge(found=each, place=cursors.of(each), highlighted=marked.get(each, [])) for each in shown],
            page_info=PageInfo(
                has_next_page=len(results.found) > size,
                has_previous_page=after is not None,
                start=(cursors, shown[0]) if shown else None,
                end=(cursors, shown[-1]) if shown else None,
            ),
            corrected_query=None if results.query is asked else str(results.query),
        )


@dataclass(frozen=True, slots=True)
class _Searched:
    """What is searched of one type: of what is `visible` to the viewer, what fits the `condition` of the filter."""

    name: str
    visible: Condition
    condition: Condition

    @classmethod
    def of(cls, name: str, condition: Condition, context: Context) -> _Searched:
        return cls(name, context.policy(name).scope(context.viewer), condition)

    @property
    def scope(self) -> tuple[str, Condition]:
        """What may be found, beside the type's name."""
        return self.name, self.visible if self.condition == EVERYTHING else And((self.condition, self.visible))


@dataclass(frozen=True, slots=True)
class _Results:
    """A page of results, and one more where others follow; the query that has them, and the question it makes."""

    query: Query
    question: store.Question | None
    found: list[store.Found] = field(default_factory=list)


def _surcharge(info: ResolveInfo, searched: list[_Searched]) -> int:
    """The points for what the list costs beside what it shows."""
    passes = selects_any(info, (COUNTS,)) + selects_any(info, (FACETS,))
    listing = Listing(whole=True, reads=selects_any(info, READS), counts=passes)
    return listing.surcharge(sum(weight_of_condition(each.condition) for each in searched))


async def _find(
    stores: Stores, results: _Results, searched: list[_Searched], size: int, place: store.Found | None
) -> _Results:
    """What fits the query; where its words are found nowhere, what fits those that look most like them."""
    question = results.question
    if question is None:
        return results
    found = await store.page(stores, question, size, place)
    # after the last page follows nothing else, and a word that there is stays, whatever the filter leaves
    nothing = not found and (place is None or not await store.page(stores, question, 0, None))
    visible = [(each.name, each.visible) for each in searched]
    if not nothing or (better := await corrected(stores, results.query, visible)) is None:
        return replace(results, found=found)
    question = _question(better, tuple(each.scope for each in searched))
    assert question is not None
    return _Results(better, question, await store.page(stores, question, size, place))


def _question(query: Query, scopes: tuple[tuple[str, Condition], ...]) -> store.Question | None:
    """What is asked of the store; None where nothing can be found."""
    if not query.asks or not scopes:
        return None
    return store.Question(
        matching=to_tsquery(query, widely=True, excluding=True, shades=names_of),
        exactly=to_tsquery(query),
        widely=to_tsquery(query, widely=True, shades=names_of),
        scopes=scopes,
    )
