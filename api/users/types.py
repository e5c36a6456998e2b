"""The GraphQL type `User`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.avatars.inputs import AvatarFilter, AvatarOrder
from api.avatars.types import Avatar
from api.fields.connections import Connection
from api.fields.declared import connection, guarded, reference
from api.fields.node import Node
from api.users.inputs import UserRole
from api.users.policy import SELF

if TYPE_CHECKING:
    from api.designs.inputs import DesignFilter, DesignOrder
    from api.designs.types import DesignConnection


@strawberry.type(description="An account of a person or a brand.")
class User(Node):
    email: str | None = guarded("Address to sign in with; for the user and admins only.", guard=SELF, column="email")
    first_name: str | None = strawberry.field(description="The given name.")
    last_name: str | None = strawberry.field(description="The family name.")
    role: UserRole | None = guarded("What the account may do; for the user and admins only.", guard=SELF, column="role")
    is_active: bool | None = guarded(
        "Whether the account may sign in; for the user and admins only.", guard=SELF, column="is_active"
    )
    email_verified: bool | None = guarded(
        "Whether the email is confirmed; for the user and admins only.", guard=SELF, column="email_verified"
    )
    created_at: datetime = strawberry.field(
        description="When the account was created. Everyone who sees the account may know: ids that this service makes "
        "tell it too."
    )
    updated_at: datetime | None = guarded(
        "When the account last changed; for the user and admins only.", guard=SELF, column="updated_at"
    )
    deleted_at: datetime | None = guarded(
        "When the account was deleted; null while it is not. For admins only.", guard=SELF, column="deleted_at"
    )
    created_by: User | None = reference(
        "user", key="created_by", guard=SELF, description="Who created the account; for the user and admins only."
    )
    updated_by: User | None = reference(
        "user", key="updated_by", guard=SELF, description="Who last changed the account; for the user and admins only."
    )
    default_avatar: Avatar | None = reference(
        "default_avatar",
        key="id",
        guard=SELF,
        description="The avatar that new designs of the user use; for the user and admins only.",
    )
    avatars: Connection[Avatar] = connection(
        "avatars",
        by="user_id",
        key="id",
        filter=AvatarFilter,
        order=AvatarOrder,
        description="The user's avatars; of another user none, except for admins.",
    )
    designs: Annotated[DesignConnection, strawberry.lazy("api.designs.types")] = connection(
        "designs",
        by="user_id",
        key="id",
        filter=Annotated["DesignFilter", strawberry.lazy("api.designs.inputs")],
        order=Annotated["DesignOrder", strawberry.lazy("api.designs.inputs")],
        description="The user's designs. What is published stays so when the account is deactivated.",
    )
