"""The GraphQL types of a search and of what it finds."""

from __future__ import annotations

from typing import Annotated

import strawberry

from api.catalog.types import CatalogItem
from api.designs.types import Design
from api.fields.connections import PageInfo
from api.fields.context import Context
from api.fields.lookups import load_view
from api.search.store import Found

SearchResult = Annotated[CatalogItem | Design, strawberry.union("SearchResult", description="What a search finds.")]


@strawberry.type(description="Something that was found, and its place in the ranking.")
class SearchEdge:
    found: strawberry.Private[Found]
    place: strawberry.Private[str]

    @strawberry.field(description="What was found; null where it has just been deleted.")
    async def node(self, info: strawberry.Info[Context]) -> SearchResult | None:
        objects = info.context.domains.objects[self.found.type_name]
        view = await load_view(
            objects.loader, objects.key(self.found.key), info._raw_info, type_name=self.found.type_name, found=True
        )
        assert view is None or isinstance(view, CatalogItem | Design)
        return view

    @strawberry.field(description="Its place, for `after`.")
    def cursor(self) -> str:
        return self.place

    @strawberry.field(description="How well it fits: the higher the better, to compare within one search.")
    def score(self) -> float:
        return self.found.score / 1_000_000


@strawberry.type(description="One page of what a search finds, the best first.")
class SearchConnection:
    edges: list[SearchEdge] = strawberry.field(description="What was found, each with its cursor and score.")
    page_info: PageInfo = strawberry.field(description="Where the page lies in the list.")
    corrected_query: str | None = strawberry.field(
        description="What was searched instead, where words of the query were found nowhere and look mistyped; "
        "null where it was searched as it is."
    )
