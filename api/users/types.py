"""The GraphQL type `User`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.avatars.inputs import AvatarFilter, AvatarOrder
from api.avatars.types import Avatar
from api.connections import Connection
from api.fields import connection, guarded, reference
from api.node import Node
from api.users.inputs import UserRole
from api.users.policy import SELF

if TYPE_CHECKING:
    from api.designs.inputs import DesignFilter, DesignOrder
    from api.designs.types import Design


@strawberry.type(description="An account.")
class User(Node):
    email: str | None = guarded("Address to sign in with; for the user and admins only.", guard=SELF, column="email")
    first_name: str | None = strawberry.field(description="Given name.")
    last_name: str | None = strawberry.field(description="Family name.")
    role: UserRole | None = guarded("What the account may do; for the user and admins only.", guard=SELF, column="role")
    is_active: bool | None = guarded("Whether the account may sign in.", guard=SELF, column="is_active")
    email_verified: bool | None = guarded("Whether the email is confirmed.", guard=SELF, column="email_verified")
    created_at: datetime | None = guarded("When the account was created.", guard=SELF, column="created_at")
    updated_at: datetime | None = guarded("When the account last changed.", guard=SELF, column="updated_at")
    created_by: User | None = reference("user", key="created_by", guard=SELF, description="Who created the account.")
    updated_by: User | None = reference(
        "user", key="updated_by", guard=SELF, description="Who last changed the account."
    )
    default_avatar: Avatar | None = reference(
        "default_avatar", key="id", guard=SELF, description="The avatar that new designs of the user use."
    )
    avatars: Connection[Avatar] = connection(
        "avatars", by="user_id", key="id", filter=AvatarFilter, order=AvatarOrder, description="The user's avatars."
    )
    designs: Connection[Annotated[Design, strawberry.lazy("api.designs.types")]] = connection(
        "designs",
        by="user_id",
        key="id",
        filter=Annotated["DesignFilter", strawberry.lazy("api.designs.inputs")],
        order=Annotated["DesignOrder", strawberry.lazy("api.designs.inputs")],
        description="The user's designs.",
    )
