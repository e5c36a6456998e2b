"""The GraphQL type `Design` and its parts."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import strawberry

from api.avatars.types import Avatar
from api.catalog.inputs import CatalogItemType
from api.catalog.types import CatalogItem
from api.designs.inputs import DesignStatus
from api.fields import reference, references, stored
from api.node import Node
from api.nodes import Part
from api.users.types import User

EMPTY: Final[dict[str, Any]] = {}
"""What an absent part reads as: all of its own defaults."""


@strawberry.type(description="Where a layer lies.")
class Position(Part):
    x: float = stored("Pixels from the left.", default=0.0)
    y: float = stored("Pixels from the top.", default=0.0)
    z: float = stored("Which layer covers which: the larger the nearer.", default=0.0)


@strawberry.type(description="How a layer is stretched.")
class Scale(Part):
    x: float = stored("Factor across.", default=1.0)
    y: float = stored("Factor down.", default=1.0)


@strawberry.type(description="The size of the canvas.")
class CanvasSize(Part):
    width: int = strawberry.field(description="Width in pixels.")
    height: int = strawberry.field(description="Height in pixels.")


@strawberry.type(description="One catalog item on the canvas.")
class DesignLayer(Part):
    id: strawberry.ID = strawberry.field(description="Id of the layer, unique in its design.")
    type: CatalogItemType = strawberry.field(description="What it shows.")
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
    tags: list[str] = stored("Words to find it by.", default=())
    description: str | None = strawberry.field(description="What it is, for people.")
    thumbnail_url: str | None = strawberry.field(description="Small picture.")
    canvas_size: CanvasSize | None = strawberry.field(description="Size of the canvas.")


@strawberry.type(description="Layers of catalog items on an avatar.")
class Design(Node):
    name: str = strawberry.field(description="Name that the owner gave it.")
    status: DesignStatus = strawberry.field(description="How far it has come.")
    version: int = stored("Counts the changes, from 1.", default=1)
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    layers: list[DesignLayer] = stored("Its layers, in the order in which they were put.", default=())
    metadata: DesignMetadata = stored("What describes it.", default=EMPTY)
    owner: User | None = reference("user", key="user_id", description="Whose design it is.")
    avatar: Avatar | None = reference("avatar", key="avatar_id", description="On whom it is worn; null where nobody.")
    catalog_items: list[CatalogItem] = references(
        "catalog_item",
        key="catalog_item_ids",
        description="The distinct items of its layers, those that are gone left out.",
    )
