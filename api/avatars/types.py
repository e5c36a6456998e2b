"""The GraphQL type `Avatar`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.avatars.fitting import FittingItems
from api.avatars.inputs import Gender
from api.avatars.policy import OWNER
from api.fields.declared import EPOCH, always, batched, connection, guarded, reference
from api.fields.node import Node
from api.lists.pagination import MAX_SIZE
from api.stores.views import Part

if TYPE_CHECKING:
    from api.catalog.types import CatalogItem
    from api.designs.inputs import DesignFilter, DesignOrder
    from api.designs.types import DesignConnection
    from api.users.types import User


@strawberry.type(description="The measures of a body.")
class Measurements(Part):
    height: float | None = strawberry.field(description="Height in cm.")
    weight: float | None = strawberry.field(description="Weight in kg.")
    chest: float | None = strawberry.field(description="Girth of the chest in cm.")
    waist: float | None = strawberry.field(description="Girth of the waist in cm.")
    hips: float | None = strawberry.field(description="Girth of the hips in cm.")
    shoulder_width: float | None = strawberry.field(description="Width of the shoulders in cm.")


@strawberry.type(description="How much wider than the body a garment is, in cm.")
class Ease(Part):
    chest: float = strawberry.field(description="At the chest.")
    waist: float = strawberry.field(description="At the waist.")
    hips: float = strawberry.field(description="At the hips.")


@strawberry.type(description="An item that fits a body.")
class FittingItem(Part):
    item: Annotated[CatalogItem, strawberry.lazy("api.catalog.types")] | None = reference(
        "catalog_item", key="item_id", description="The item; null where it was deleted in this moment."
    )
    size: str = strawberry.field(description="The name of the size that fits best.")
    ease: Ease = strawberry.field(description="How much wider than the body this size is.")


@strawberry.type(description="A body that designs are worn on.")
class Avatar(Node):
    name: str = always("Name that the owner gave it.", default="")
    gender: Gender = always("For whom it stands; unisex where no such gender is stored.", default="unisex")
    measurements: Measurements | None = guarded(
        "Its measures; for the owner and admins only.", guard=OWNER, column="measurements"
    )
    model_url: str | None = strawberry.field(description="Address of the 3D model.")
    thumbnail_url: str | None = strawberry.field(description="Address of a small picture.")
    is_default: bool = always("Whether new designs of the owner use it.", default=False)
    created_at: datetime = always("When it was created.", default=EPOCH)
    updated_at: datetime = always("When it last changed.", default=EPOCH)
    deleted_at: datetime | None = strawberry.field(
        description="When it was deleted; null while it is not. Only its owner and admins find it then."
    )
    owner: Annotated[User, strawberry.lazy("api.users.types")] | None = reference(
        "user", key="user_id", description="Whose avatar it is."
    )
    designs: Annotated[DesignConnection, strawberry.lazy("api.designs.types")] = connection(
        "designs",
        by="avatar_id",
        key="id",
        filter=Annotated["DesignFilter", strawberry.lazy("api.designs.inputs")],
        order=Annotated["DesignOrder", strawberry.lazy("api.designs.inputs")],
        description="The designs that are worn on it.",
    )
    fitting_items: list[FittingItem] | None = batched(
        FittingItems(),
        needs=("user_id", "measurements"),
        first=f"How many items, at most {MAX_SIZE}; 20 where it is not given.",
        description="The items whose size table has a size that fits, the closest fit first, among the 1000 newest "
        "items with a size table. For the owner and admins only, null for others; empty where chest, waist or hips are "
        "not measured.",
    )
