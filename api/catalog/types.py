"""The GraphQL type `CatalogItem`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import strawberry

from api.catalog.facets import CatalogItemFacets
from api.catalog.inputs import CatalogItemCategory, CatalogItemType
from api.catalog.policy import ASSET
from api.catalog.similar import NEEDS, SimilarItems
from api.catalog.sizes import CatalogItemSize, StoredSizes
from api.catalog.usage import CatalogItemUsage, Usage
from api.fields.connections import PAGE_OF_LIST, Connection
from api.fields.declared import EPOCH, always, batched, connection, guarded, reference, stored, stored_by
from api.fields.facets import FACETS, OF_PAGE
from api.fields.node import Node
from api.lists.pagination import MAX_SIZE
from api.similarity.types import Similar
from api.stores.views import Part

if TYPE_CHECKING:
    from api.designs.inputs import DesignFilter, DesignOrder
    from api.designs.types import DesignConnection
    from api.users.types import User


@strawberry.type(description="What a catalog item looks and feels like.")
class CatalogItemProperties(Part):
    color: str | None = strawberry.field(description="Its main colour.")
    texture: str | None = strawberry.field(description="How its surface feels.")
    material: str | None = strawberry.field(description="What it is made of.")
    pattern_type: str | None = strawberry.field(description="Kind of pattern.")
    tags: list[str] = stored("Words to find it by; what is stored beside texts is left out.", default=())
    sizes: list[CatalogItemSize] = stored_by(
        StoredSizes(()), "Its size table, the smallest size first; a size that lacks a girth is left out."
    )


NO_PROPERTIES: Final[dict[str, Any]] = {}
"""Shown in place of properties that are no object."""


@strawberry.type(description="An item that is similar to another one.")
class SimilarCatalogItem(Similar):
    item: CatalogItem | None = reference(
        "catalog_item", key="item_id", description="The item; null where it was deleted in this moment."
    )


@strawberry.type(description="Something that a layer of a design shows.")
class CatalogItem(Node):
    name: str = always("Name under which it is shown.", default="")
    description: str | None = strawberry.field(description="What it is, for people.")
    type: CatalogItemType = always(
        "Silhouette, fabric or pattern; a silhouette where none of them is stored.", default="silhouette"
    )
    category: CatalogItemCategory | None = strawberry.field(description="Kind of garment; null where none fits.")
    properties: CatalogItemProperties = always("What it looks and feels like.", default=NO_PROPERTIES)
    asset_url: str | None = guarded(
        "Address of its 3D asset. Null for anonymous visitors and accounts of role user where the item is premium.",
        guard=ASSET,
        column="asset_url",
    )
    thumbnail_url: str | None = strawberry.field(description="Address of a small picture.")
    is_premium: bool = always("Whether the asset is for premium accounts only.", default=False)
    is_active: bool = always("Whether it is still offered.", default=False)
    price: int = always("Price in cents.", default=0)
    created_at: datetime = always("When it was created.", default=EPOCH)
    updated_at: datetime = always("When it last changed.", default=EPOCH)
    deleted_at: datetime | None = strawberry.field(
        description="When it was deleted; null while it is not. Only its brand and admins find it then."
    )
    brand: Annotated[User, strawberry.lazy("api.users.types")] | None = reference(
        "user",
        key="created_by",
        description="Who offers it, for everyone who sees the item; null where nobody of this service does.",
    )
    designs: Annotated[DesignConnection, strawberry.lazy("api.designs.types")] = connection(
        "designs",
        by="layers.item_id",
        key="id",
        filter=Annotated["DesignFilter", strawberry.lazy("api.designs.inputs")],
        order=Annotated["DesignOrder", strawberry.lazy("api.designs.inputs")],
        description="The designs with a layer that shows it.",
    )
    usage: CatalogItemUsage | None = batched(
        Usage(),
        needs=("id", "created_by"),
        description="How much it is used; for its brand and admins, null for others.",
    )
    similar: list[SimilarCatalogItem] | None = batched(
        SimilarItems(),
        needs=NEEDS,
        first=f"How many items, at most {MAX_SIZE}; 20 where it is not given.",
        description="The most similar items among those that the viewer finds in lists, the best first: by tags, "
        "colour, material, category and type. Null only where the store is not available.",
    )


@strawberry.type(name="CatalogItemConnection", description=PAGE_OF_LIST)
class CatalogItemConnection(Connection[CatalogItem]):
    @strawberry.field(description=FACETS, metadata=OF_PAGE)
    def facets(self) -> CatalogItemFacets | None:
        return CatalogItemFacets.of(self.page)
