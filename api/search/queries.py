"""The root field `search`."""

from __future__ import annotations

from typing import Annotated, Final

import strawberry

from api.colours.table import names_of
from api.errors import BadUserInput
from api.fields.connections import PageInfo
from api.fields.context import Context
from api.fields.selection import selects_any, selects_below
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
        policies = [(str(each.value), context.policy(str(each.value)).scope(context.viewer)) for each, _ in conditions]
        scopes = tuple(
            (name, scope if condition == EVERYTHING else And((condition, scope)))
            for (name, scope), (_, condition) in zip(policies, conditions, strict=True)
        )
        passes = selects_any(info._raw_info, (COUNTS,)) + selects_any(info._raw_info, (FACETS,))
        listing = Listing(whole=True, reads=selects_any(info._raw_info, READS), counts=passes)
        context.surcharge += listing.surcharge(sum(weight_of_condition(each) for _, each in conditions))
        cursors = SearchCursors((asked, conditions))
        place = None if after is None else cursors.read(after)
        searched, question, found = asked, _question(asked, scopes), list[store.Found]()
        if question is not None and selects_any(info._raw_info, NEEDS_RESULTS):
            found = await store.page(context.stores, question, size, place)
            # after the last page follows nothing else, and a word that there is stays, whatever the filter leaves
            nothing = not found and (place is None or not await store.page(context.stores, question, 0, None))
            if nothing and (better := await corrected(context.stores, asked, policies)) is not None:
                searched, question = better, _question(better, scopes)
                assert question is not None
                found = await store.page(context.stores, question, size, place)
        shown = found[:size]
        marked: dict[store.Found, list[Highlight]] = {}
        if shown and selects_below(info._raw_info, "edges", "highlights"):
            marked = await highlights(context.stores, searched, shown, scopes, names_of)
        return SearchConnection(
            question=question,
            by_type={
                name: faceted(name, question, condition, scope)
                for (name, scope), (_, condition) in zip(policies, conditions, strict=True)
            },
            edges=[SearchEdge(found=each, place=cursors.of(each), highlighted=marked.get(each, [])) for each in shown],
            page_info=PageInfo(
                has_next_page=len(found) > size,
                has_previous_page=after is not None,
                start=(cursors, shown[0]) if shown else None,
                end=(cursors, shown[-1]) if shown else None,
            ),
            corrected_query=None if searched is asked else str(searched),
        )


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
