"""Validation of the inputs of the catalog."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from api.catalog.sizes import MAX_GIRTH, MAX_SIZES
from api.writing.validation import UNGIVEN, CatalogItemKey, Description, Embedded, Name, Tag, Url, one_line

MAX_TAGS: Final = 50
MAX_PRICE: Final = 2**31 - 1
"""The most that the column and GraphQL's Int can hold, in cents."""

Type = Literal["silhouette", "fabric", "pattern"]
Category = Literal["top", "bottom", "dress", "outerwear", "accessory", "other"]
Price = Annotated[int, Field(ge=0, le=MAX_PRICE)]
Word = Annotated[str, one_line(255)]


def _distinct(tags: list[str]) -> list[str]:
    repeated = sorted({tag for tag in tags if tags.count(tag) > 1})
    if repeated:
        raise ValueError(f"has '{repeated[0]}' more than once")
    return tags


Girth = Annotated[float, Field(gt=0, le=MAX_GIRTH)]


class Size(BaseModel):
    """A size of a garment, in cm."""

    name: Annotated[str, one_line(32)]
    chest: Girth
    waist: Girth
    hips: Girth


def _by_name(sizes: list[Size]) -> dict[str, dict[str, float]]:
    """The sizes as they are stored."""
    _distinct([size.name for size in sizes])
    return {size.name: size.model_dump(exclude={"name"}) for size in sizes}


class Properties(Embedded):
    """The properties of an item, such as its colour and material."""

    color: Word | None = None
    texture: Word | None = None
    material: Word | None = None
    pattern_type: Word | None = None
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(_distinct)] | None = None
    sizes: Annotated[list[Size], Field(max_length=MAX_SIZES), AfterValidator(_by_name)] | None = None


Described = Annotated[Properties, BeforeValidator(lambda value: {} if value is None else value)]
"""Properties; null counts as empty."""


class NewCatalogItem(BaseModel):
    """A new item."""

    name: Name
    description: Description | None = None
    type: Type
    category: Category | None = None
    properties: Described = Field(default_factory=Properties)
    asset_url: Url | None = None
    thumbnail_url: Url | None = None
    is_premium: bool = False
    is_active: bool = True
    price: Price = 0


class CatalogItemChoice(BaseModel):
    """The id of an item."""

    id: CatalogItemKey


class CatalogItemDeletion(CatalogItemChoice):
    """The id of an item, with the `updatedAt` that the client knows."""

    expected_updated_at: datetime | None = None


class CatalogItemChanges(CatalogItemDeletion):
    """Changes of an item; only fields that are set change."""

    name: Name = UNGIVEN
    description: Description | None = None
    type: Type = UNGIVEN
    category: Category | None = None
    properties: Properties | None = None
    asset_url: Url | None = None
    thumbnail_url: Url | None = None
    is_premium: bool = UNGIVEN
    is_active: bool = UNGIVEN
    price: Price = UNGIVEN

    def values(self) -> dict[str, Any]:
        """The changes by column."""
        return self.model_dump(exclude={"id", "expected_updated_at"}, exclude_unset=True)
