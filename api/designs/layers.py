"""The GraphQL types of a design's layers and metadata."""

from __future__ import annotations

from typing import Any, Final

import strawberry
from graphql import GraphQLError, GraphQLInt

from api.catalog.inputs import CatalogItemType
from api.catalog.types import CatalogItem
from api.fields.declared import always, reference, stored, whole
from api.stores.views import Part

EMPTY: Final[dict[str, Any]] = {}
"""Shown in place of an absent part: all its fields have their defaults."""


@strawberry.type(description="Where a layer lies.")
class Position(Part):
    x: float = stored("Pixels from the left.", default=0.0)
    y: float = stored("Pixels from the top.", default=0.0)
    z: float = stored("Which layer covers which: the larger the nearer.", default=0.0)


@strawberry.type(description="How a layer is stretched.")
class Scale(Part):
    x: float = stored("By which factor across.", default=1.0)
    y: float = stored("By which factor down.", default=1.0)


@strawberry.type(description="The size of the canvas.")
class CanvasSize(Part):
    width: int = strawberry.field(description="Width in pixels.")
    height: int = strawberry.field(description="Height in pixels.")


def _is_size(stored: Any) -> bool:
    try:
        return isinstance(stored, dict) and all(
            GraphQLInt.coerce_output_value(stored.get(name)) is not None for name in ("width", "height")
        )
    except GraphQLError:
        return False


@strawberry.type(description="One catalog item on the canvas.")
class DesignLayer(Part):
    id: strawberry.ID = always(
        "Id of the layer, unique in its design only: copies and versions of the design have it too. Empty where none "
        "is stored.",
        name="layerId",
        default="",
    )
    type: CatalogItemType = always("What it shows; a silhouette where no such type is stored.", default="silhouette")
    catalog_item: CatalogItem | None = reference(
        "catalog_item", key="item_id", description="The item that it shows; null where it is gone."
    )
    position: Position = stored("Where it lies.", default=EMPTY)
    rotation: float | None = strawberry.field(description="By how many degrees it is turned.")
    scale: Scale | None = strawberry.field(description="How it is stretched.")
    color: str | None = strawberry.field(description="Colour that it is tinted with.")
    visible: bool = stored("Whether it is shown.", default=True)


@strawberry.type(description="What describes a design beside its layers.")
class DesignMetadata(Part):
    tags: list[str] = stored("Words to find it by; what is stored beside texts is left out.", default=())
    description: str | None = strawberry.field(description="What it is, for people.")
    thumbnail_url: str | None = strawberry.field(description="Address of a small picture.")
    canvas_size: CanvasSize | None = whole(
        "Size of the canvas; null where what is stored isn't two whole numbers.", column="canvas_size", fits=_is_size
    )
