"""Users for tests."""

from __future__ import annotations

from typing import Any

from api.stores.stores import Stores
from models import PostgresRepository, User, new_id


def users(stores: Stores) -> PostgresRepository[User]:
    return PostgresRepository(User, stores.reads, stores.sessions)


async def create_user(stores: Stores, **values: Any) -> User:
    """A user with an email of its own; nobody can sign in with its password."""
    id = values.get("id", new_id())
    defaults = {
        "id": id,
        "email": f"{id}@example.com",
        "password_hash": "none",
        "first_name": "Ada",
        "last_name": "Lovelace",
    }
    return await users(stores).create(defaults | values)
