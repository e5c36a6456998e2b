"""Root fields of users."""

from __future__ import annotations

import strawberry

from api.fields.connections import Connection
from api.fields.context import Context
from api.fields.declared import connection, lookup
from api.fields.lookups import load_view
from api.users.inputs import UserFilter, UserOrder
from api.users.types import User


@strawberry.type
class UserQueries:
    @strawberry.field(description="Who is signed in; null for nobody.")
    async def viewer(self, info: strawberry.Info[Context]) -> User | None:
        viewer = info.context.viewer
        if viewer.id is None:
            return None
        view = await load_view("user", viewer.id, info._raw_info, found=True)
        return view if isinstance(view, User) else None

    user: User | None = lookup("user", description="One user by their id; null where there is none for this viewer.")
    users: Connection[User] | None = connection(
        "users", filter=UserFilter, order=UserOrder, description="All users; for admins only."
    )
