"""The GraphQL types of a search and of what it finds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated

import strawberry

from api.catalog.facets import CatalogItemFacets
from api.catalog.types import CatalogItem
from api.designs.facets import DesignFacets
from api.designs.types import Design
from api.fields.connections import PageInfo
from api.fields.context import Context
from api.fields.lookups import load_view
from api.lists.facets import Faceted
from api.search.facets import COUNTED
from api.search.highlights import LONGEST, MOST_HIGHLIGHTS, MOST_RANGES, Highlight
from api.search.store import SCALE, Found, Question, count

SearchResult = Annotated[CatalogItem | Design, strawberry.union("SearchResult", description="What a search finds.")]


@strawberry.enum(description="Fields that a search finds words in.")
class SearchField(Enum):
    NAME = strawberry.enum_value("name", description="The name of an item or a design.")
    COLOR = strawberry.enum_value("color", description="The colour of an item.")
    MATERIAL = strawberry.enum_value("material", description="What an item is made of.")
    TEXTURE = strawberry.enum_value("texture", description="How an item feels.")
    PATTERN_TYPE = strawberry.enum_value("pattern_type", description="The kind of an item's pattern.")
    TAGS = strawberry.enum_value("tags", description="One of the tags of an item or a design.")
    DESCRIPTION = strawberry.enum_value("description", description="The description of an item or a design.")


@strawberry.type(
    description="A part of a text. Both ends are counted in UTF-16 code units, as JavaScript's `slice` counts them."
)
class SearchRange:
    start: int = strawberry.field(description="Where it begins; the text begins with 0.")
    end: int = strawberry.field(description="Where what follows it begins.")


@strawberry.type(description="Where words of the query stand in a field of what was found.")
class SearchHighlight:
    field: SearchField = strawberry.field(description="The field that they stand in.")
    text: str = strawberry.field(
        description=f"The text that the ranges are parts of: the field, or one tag; at most {LONGEST} characters of it."
    )
    ranges: list[SearchRange] = strawberry.field(
        description="The words, from the first to the last; whole ones, also where a part of them was typed."
    )


@strawberry.type(description="Something that was found, and its place in the ranking.")
class SearchEdge:
    found: strawberry.Private[Found]
    place: strawberry.Private[str]
    highlighted: strawberry.Private[list[Highlight]]

    @strawberry.field(description="What was found; null where it has just been deleted.")
    async def node(self, info: strawberry.Info[Context]) -> SearchResult | None:
        return await _load(self.found, info)

    @strawberry.field(description="Its place, for `after`.")
    def cursor(self) -> str:
        return self.place

    @strawberry.field(description="How well it fits: the higher the better, to compare within one search.")
    def score(self) -> float:
        return self.found.score / SCALE

    @strawberry.field(
        description="Where words of the query stand in it, as search knows it (a design as it was a second ago): "
        f"at most {MOST_HIGHLIGHTS} texts with {MOST_RANGES} words each."
    )
    def highlights(self) -> list[SearchHighlight]:
        return [
            SearchHighlight(
                field=SearchField(each.field),
                text=each.text,
                ranges=[SearchRange(start=start, end=end) for start, end in each.ranges],
            )
            for each in self.highlighted
        ]


async def _load(found: Found, info: strawberry.Info[Context]) -> CatalogItem | Design | None:
    objects = info.context.domains.objects[found.type_name]
    key, raw = objects.key(found.key), info._raw_info
    view = await load_view(objects.loader, key, raw, type_name=found.type_name, found=True)
    assert view is None or isinstance(view, CatalogItem | Design)
    return view


@dataclass(frozen=True, slots=True)
class _Found:
    """What a search finds of one type."""

    faceted: Faceted


@strawberry.type(
    description="The values of what a search finds, and how many objects have each, as in lists. Of each type at most "
    f"{COUNTED} objects are counted."
)
class SearchFacets:
    by_type: strawberry.Private[Mapping[str, Faceted]]

    @strawberry.field(description="Facets of the items; null where items were not searched.")
    def catalog_items(self) -> CatalogItemFacets | None:
        found = self.by_type.get("CatalogItem")
        return None if found is None else CatalogItemFacets.of(_Found(found))

    @strawberry.field(description="Facets of the designs; null where designs were not searched.")
    def designs(self) -> DesignFacets | None:
        found = self.by_type.get("Design")
        return None if found is None else DesignFacets.of(_Found(found))


@strawberry.type(description="One page of what a search finds, the best first.")
class SearchConnection:
    by_type: strawberry.Private[Mapping[str, Faceted]]
    question: strawberry.Private[Question | None]
    edges: list[SearchEdge] | None = strawberry.field(description="What was found, each with its cursor and score.")
    page_info: PageInfo = strawberry.field(description="Where the page lies in the list.")
    corrected_query: str | None = strawberry.field(
        description="What was searched instead, where words of the query were found nowhere and look mistyped; "
        "null where it was searched as it is."
    )

    @strawberry.field(description="What was found, where cursors and scores are not needed.")
    async def nodes(self, info: strawberry.Info[Context]) -> list[SearchResult | None] | None:
        return await asyncio.gather(*(_load(edge.found, info) for edge in self.edges or ()))

    @strawberry.field(description="How much is found in all. Counted only when asked for.")
    async def total_count(self, info: strawberry.Info[Context]) -> int | None:
        return 0 if self.question is None else await count(info.context.stores, self.question)

    @strawberry.field(
        description="The values of all that is found, by type. A facet is counted without what the filter asks of that "
        "field alone."
    )
    def facets(self) -> SearchFacets | None:
        return SearchFacets(by_type=self.by_type)
