"""The GraphQL type `Avatar`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.avatars.inputs import Gender
from api.avatars.policy import OWNER
from api.connections import Connection
from api.fields import connection, guarded, reference
from api.node import Node
from api.nodes import Part

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
    name: str = strawberry.field(description="Name that the owner gave it.")
    gender: Gender = strawberry.field(description="For whom it stands.")
    measurements: Measurements | None = guarded(
        "Its measures; for the owner and admins only.", guard=OWNER, column="measurements"
    )
    model_url: str | None = strawberry.field(description="Address of the 3D model.")
    thumbnail_url: str | None = strawberry.field(description="Address of a small picture.")
    is_default: bool = strawberry.field(description="Whether new designs of the owner use it.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
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
