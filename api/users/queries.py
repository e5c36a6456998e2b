"""Root fields of users."""

from __future__ import annotations

import strawberry

from api.fields import connection, lookup
from api.pagination import Connection
from api.users.inputs import UserFilter, UserOrder
from api.users.types import User


@strawberry.type
class UserQueries:
    user: User | None = lookup("user", description="One user.")
    users: Connection[User] = connection("users", filter=UserFilter, order=UserOrder, description="All users.")
