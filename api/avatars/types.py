"""The GraphQL type `Avatar`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.avatars.inputs import Gender
from api.avatars.policy import OWNER
from api.fields.connections import Connection
from api.fields.declared import EPOCH, always, connection, guarded, reference
from api.fields.node import Node
from api.stores.views import Part

if TYPE_CHECKING:
    from api.designs.inputs import DesignFilter, DesignOrder
    from api.designs.types import Design
    from api.users.types import User


@strawberry.type(description="The measures of a body.")
class Measurements(Part):
    height: float | None = strawberry.field(description="Height in cm.")
    weight: float | None = strawberry.field(description="Weight in kg.")
    chest: float | None = strawberry.field(description="Girth of the chest in cm.")
    waist: float | None = strawberry.field(description="Girth of the waist in cm.")
    hips: float | None = strawberry.field(description="Girth of the hips in cm.")
    shoulder_width: float | None = strawberry.field(description="Width of the shoulders in cm.")


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
    designs: Connection[Annotated[Design, strawberry.lazy("api.designs.types")]] = connection(
        "designs",
        by="avatar_id",
        key="id",
        filter=Annotated["DesignFilter", strawberry.lazy("api.designs.inputs")],
        order=Annotated["DesignOrder", strawberry.lazy("api.designs.inputs")],
        description="The designs that are worn on it.",
    )
