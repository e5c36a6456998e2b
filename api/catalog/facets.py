"""The GraphQL types of facets of catalog items."""

from __future__ import annotations

from typing import ClassVar

import strawberry

from api.catalog.inputs import CatalogItemCategory, CatalogItemType
from api.fields.facets import BooleanCount, NumberFacet, OfPage, TextCount, facet, range_of
from api.lists.facets import ValueCount


@strawberry.type(description="A type of catalog items, and how many items of the list are of it.")
class CatalogItemTypeCount:
    sources: ClassVar[tuple[type, ...]] = (ValueCount,)

    value: CatalogItemType = strawberry.field(description="Silhouette, fabric or pattern.")
    count: int = strawberry.field(description="How many items.")


@strawberry.type(description="A category of catalog items, and how many items of the list are in it.")
class CatalogItemCategoryCount:
    sources: ClassVar[tuple[type, ...]] = (ValueCount,)

    value: CatalogItemCategory | None = strawberry.field(
        description="Kind of garment; null stands for the items that have none."
    )
    count: int = strawberry.field(description="How many items.")


@strawberry.type(
    description="Facets of catalog items: values with counts, the most frequent first, equally frequent ones in the "
    "order of their values, after null. All that are asked for are one statement."
)
class CatalogItemFacets(OfPage):
    type: list[CatalogItemTypeCount] = facet("type", "How many items are of which type.")
    category: list[CatalogItemCategoryCount] = facet("category", "How many items are in which category.")
    color: list[TextCount] = facet("color", "How many items have which colour.")
    material: list[TextCount] = facet("material", "How many items are of which material.")
    texture: list[TextCount] = facet("texture", "How many items have which texture.")
    pattern_type: list[TextCount] = facet("pattern_type", "How many items have which kind of pattern.")
    tags: list[TextCount] = facet("tags", "How many items have which tag; those without tags are not counted.")
    is_premium: list[BooleanCount] = facet("is_premium", "How many items are for premium accounts only, how many not.")
    price: NumberFacet = range_of("price", "Between which prices the items lie, in cents.")
