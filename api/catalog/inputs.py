"""Filters and orders of catalog items, and what their mutations take."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import strawberry

from api.lists.filters import DateTimeRange, IntRange, TagsFilter, TextFilter, where
from api.lists.pagination import OrderDirection


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
    has_category: bool | None = where("Whether it has a category.", on="category", presence=True)
    color: TextFilter | None = where("Conditions on the colour.")
    has_color: bool | None = where("Whether it has a colour.", on="color", presence=True)
    material: TextFilter | None = where("Conditions on the material.")
    has_material: bool | None = where("Whether it has a material.", on="material", presence=True)
    texture: TextFilter | None = where("Conditions on the texture.")
    has_texture: bool | None = where("Whether it has a texture.", on="texture", presence=True)
    pattern_type: TextFilter | None = where("Conditions on the kind of pattern.")
    has_pattern_type: bool | None = where("Whether it has a kind of pattern.", on="pattern_type", presence=True)
    has_thumbnail: bool | None = where("Whether it has a small picture.", on="thumbnail_url", presence=True)
    tags: TagsFilter | None = where("Conditions on the tags.")
    price: IntRange | None = where("Range of the price in cents.")
    is_premium: bool | None = where("Whether the asset is for premium accounts only.")
    is_active: bool | None = where("Whether it is still offered.")
    created_by: list[strawberry.ID] | None = where(
        "Offered by one of these users, as `brand` says of each item that the viewer sees.", node="User"
    )
    created_at: DateTimeRange | None = where("When it was created.")
    deleted: bool | None = where("True: the deleted items instead of the live ones; for their brand and admins.")
    updated_at: DateTimeRange | None = where("When it last changed.")


@strawberry.enum(description="By what catalog items are ordered.")
class CatalogItemOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When the item was created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When the item last changed.")
    NAME = strawberry.enum_value("name", description="By the name.")
    PRICE = strawberry.enum_value("price", description="By the price.")


@strawberry.input(description="How catalog items are ordered.")
class CatalogItemOrder:
    field: CatalogItemOrderField = strawberry.field(description="What they are ordered by.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.ASC, description="In which direction.")


_URL = "an http or https address of at most 2048 characters"
_EXPECTED = "`updatedAt` as the client knows it: where it is another by now, nothing changes, and the error is STALE."


@strawberry.input(description="A size of a garment. Each girth is greater than 0 and at most 500 cm.")
class CatalogItemSizeInput:
    name: str = strawberry.field(description="What it is called, such as `M` or `42`: 1 to 32 characters.")
    chest: float = strawberry.field(description="Girth of the garment at the chest, in cm.")
    waist: float = strawberry.field(description="Girth of the garment at the waist, in cm.")
    hips: float = strawberry.field(description="Girth of the garment at the hips, in cm.")


@strawberry.input(
    description="What a catalog item looks and feels like. Texts have 1 to 255 characters. In a change of an item, "
    "what is left out stays, and null removes it; of a new one, neither is said."
)
class CatalogItemPropertiesInput:
    color: str | None = strawberry.field(default=strawberry.UNSET, description="Its main colour.")
    texture: str | None = strawberry.field(default=strawberry.UNSET, description="How its surface feels.")
    material: str | None = strawberry.field(default=strawberry.UNSET, description="What it is made of.")
    pattern_type: str | None = strawberry.field(default=strawberry.UNSET, description="Kind of pattern.")
    tags: list[str] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Words to find it by, in place of those until now: at most 50, all different, each of 1 to 64 "
        "characters.",
    )
    sizes: list[CatalogItemSizeInput] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Its size table, in place of the one until now: at most 30 sizes, of different names.",
    )


@strawberry.input(description="A new catalog item.")
class CreateCatalogItemInput:
    name: str = strawberry.field(description="Display name: 1 to 255 characters.")
    description: str | None = strawberry.field(
        default=None, description="What it is, for people; at most 10000 characters."
    )
    type: CatalogItemType = strawberry.field(description="Silhouette, fabric or pattern.")
    category: CatalogItemCategory | None = strawberry.field(
        default=None, description="Kind of garment; left out where none fits."
    )
    properties: CatalogItemPropertiesInput | None = strawberry.field(
        default=None, description="What it looks and feels like."
    )
    asset_url: str | None = strawberry.field(default=None, description=f"3D asset: {_URL}.")
    thumbnail_url: str | None = strawberry.field(default=None, description=f"Small picture: {_URL}.")
    is_premium: bool = strawberry.field(default=False, description="Whether the asset is for premium accounts only.")
    is_active: bool = strawberry.field(default=True, description="Whether it is offered already.")
    price: int = strawberry.field(default=0, description="Price in cents; not negative.")


@strawberry.input(
    description="What changes about a catalog item. What is left out stays; null removes, where it says so."
)
class UpdateCatalogItemInput:
    id: strawberry.ID = strawberry.field(description="Global id of the item.")
    name: strawberry.Maybe[str | None] = strawberry.field(description="Display name: 1 to 255 characters.")
    description: strawberry.Maybe[str | None] = strawberry.field(
        description="What it is, for people; at most 10000 characters. Null removes it."
    )
    type: strawberry.Maybe[CatalogItemType | None] = strawberry.field(description="Silhouette, fabric or pattern.")
    category: strawberry.Maybe[CatalogItemCategory | None] = strawberry.field(
        description="Kind of garment; null where none fits."
    )
    properties: strawberry.Maybe[CatalogItemPropertiesInput | None] = strawberry.field(
        description="Its properties: those that are left out stay, null removes one. Null in place of all removes all."
    )
    asset_url: strawberry.Maybe[str | None] = strawberry.field(description=f"3D asset: {_URL}. Null removes it.")
    thumbnail_url: strawberry.Maybe[str | None] = strawberry.field(
        description=f"Small picture: {_URL}. Null removes it."
    )
    is_premium: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether the asset is for premium accounts only."
    )
    is_active: strawberry.Maybe[bool | None] = strawberry.field(
        description="False: it is no longer listed, but still shown in the designs that use it."
    )
    price: strawberry.Maybe[int | None] = strawberry.field(description="Price in cents; not negative.")
    expected_updated_at: datetime | None = strawberry.field(default=None, description=_EXPECTED)


@strawberry.input(description="Which catalog item is deleted.")
class DeleteCatalogItemInput:
    id: strawberry.ID = strawberry.field(description="Global id of the item.")
    expected_updated_at: datetime | None = strawberry.field(default=None, description=_EXPECTED)


@strawberry.input(description="Which deleted catalog item comes back.")
class RestoreCatalogItemInput:
    id: strawberry.ID = strawberry.field(description="Global id of the item.")


@strawberry.enum(description="What an import does where some of its items are not what they should be.")
class ImportMode(Enum):
    ATOMIC = strawberry.enum_value("atomic", description="Nothing is written: all items or none.")
    BEST_EFFORT = strawberry.enum_value("best_effort", description="The others are written.")


@strawberry.input(description="New catalog items.")
class ImportCatalogItemsInput:
    items: list[CreateCatalogItemInput] = strawberry.field(description="The items; at most 500.")
    mode: ImportMode = strawberry.field(
        default=ImportMode.ATOMIC, description="What happens where some items are not what they should be."
    )
