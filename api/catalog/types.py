"""The GraphQL type `CatalogItem`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.catalog.inputs import CatalogItemCategory, CatalogItemType
from api.catalog.policy import ASSET
from api.connections import Connection
from api.fields import connection, guarded, reference, stored
from api.node import Node
from api.nodes import Part

if TYPE_CHECKING:
    from api.designs.inputs import DesignFilter, DesignOrder
    from api.designs.types import Design
    from api.users.types import User


@strawberry.type(description="What a catalog item looks and feels like.")
class CatalogItemProperties(Part):
    color: str | None = strawberry.field(description="Its main colour.")
    texture: str | None = strawberry.field(description="How its surface feels.")
    material: str | None = strawberry.field(description="What it is made of.")
    pattern_type: str | None = strawberry.field(description="Kind of pattern.")
    tags: list[str] = stored("Words to find it by.", default=())


@strawberry.type(description="Something that a layer of a design shows.")
class CatalogItem(Node):
    name: str = strawberry.field(description="Name under which it is shown.")
    description: str | None = strawberry.field(description="What it is, for people.")
    type: CatalogItemType = strawberry.field(description="Silhouette, fabric or pattern.")
    category: CatalogItemCategory | None = strawberry.field(description="Kind of garment; null where none fits.")
    properties: CatalogItemProperties = strawberry.field(description="What it looks and feels like.")
    asset_url: str | None = guarded(
        "Address of its 3D asset. Null for anonymous visitors and accounts of role user where the item is premium.",
        guard=ASSET,
        column="asset_url",
    )
    thumbnail_url: str | None = strawberry.field(description="Address of a small picture.")
    is_premium: bool = strawberry.field(description="Whether the asset is for premium accounts only.")
    is_active: bool = strawberry.field(description="Whether it is still offered.")
    price: int = strawberry.field(description="Price in cents.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    deleted_at: datetime | None = strawberry.field(
        description="When it was deleted; null while it is not. Only its brand and admins find it then."
    )
    brand: Annotated[User, strawberry.lazy("api.users.types")] | None = reference(
        "user", key="created_by", description="Who offers it; null where nobody of this service does."
    )
    designs: Connection[Annotated[Design, strawberry.lazy("api.designs.types")]] = connection(
        "designs",
        by="layers.item_id",
        key="id",
        filter=Annotated["DesignFilter", strawberry.lazy("api.designs.inputs")],
        order=Annotated["DesignOrder", strawberry.lazy("api.designs.inputs")],
        description="The designs with a layer that shows it.",
    )
