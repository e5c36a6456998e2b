"""Filters and orders of catalog items."""

from __future__ import annotations

from enum import Enum

import strawberry

from api.filtering import DateTimeRange, IntRange, TagsFilter, TextFilter, where
from api.pagination import OrderDirection


@strawberry.enum(description="What a catalog item is, and what a layer shows.")
class CatalogItemType(Enum):
    SILHOUETTE = strawberry.enum_value("silhouette", description="The cut of a garment.")
    FABRIC = strawberry.enum_value("fabric", description="What a garment is made of.")
    PATTERN = strawberry.enum_value("pattern", description="What is printed on or woven into it.")


@strawberry.enum(description="Which kind of garment a catalog item is for.")
class CatalogItemCategory(Enum):
    TOP = strawberry.enum_value("top", description="Shirts, blouses, pullovers.")
    BOTTOM = strawberry.enum_value("bottom", description="Trousers, skirts, shorts.")
    DRESS = strawberry.enum_value("dress", description="Dresses and jumpsuits.")
    OUTERWEAR = strawberry.enum_value("outerwear", description="Coats and jackets.")
    ACCESSORY = strawberry.enum_value("accessory", description="Hats, scarves, bags.")
    OTHER = strawberry.enum_value("other", description="None of the others.")


@strawberry.input(
    description="Which catalog items. Conditions given together must all hold; a list takes one value as well."
)
class CatalogItemFilter:
    and_: list[CatalogItemFilter] | None = where("All of these filters.", name="and")
    or_: list[CatalogItemFilter] | None = where("At least one of these filters.", name="or")
    not_: CatalogItemFilter | None = where("Not this filter.", name="not")
    id: list[strawberry.ID] | None = where("One of these items.", node="CatalogItem")
    name: TextFilter | None = where("Conditions on the name.")
    type: list[CatalogItemType] | None = where("One of these types.")
    category: list[CatalogItemCategory] | None = where("One of these categories.")
    tags: TagsFilter | None = where("Conditions on the tags.")
    price: IntRange | None = where("Range of the price in cents.")
    is_premium: bool | None = where("Whether the asset is for premium accounts only.")
    is_active: bool | None = where("Whether it is still offered.")
    created_by: list[strawberry.ID] | None = where("Offered by one of these users.", node="User")
    created_at: DateTimeRange | None = where("When it was created.")
    deleted: bool | None = where("True: the deleted items instead of the live ones; for their brand and admins.")
    updated_at: DateTimeRange | None = where("When it last changed.")


@strawberry.enum(description="By what catalog items are ordered.")
class CatalogItemOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When the item was created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When the item last changed.")
    NAME = strawberry.enum_value("name", description="Name.")
    PRICE = strawberry.enum_value("price", description="Price.")


@strawberry.input(description="How catalog items are ordered.")
class CatalogItemOrder:
    field: CatalogItemOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.ASC, description="In which direction.")
