"""Avatars for tests."""

from __future__ import annotations

from typing import Any

from api.stores.stores import Stores
from models import Avatar, PostgresRepository
from tests.support.factories.users import create_user


def avatars(stores: Stores) -> PostgresRepository[Avatar]:
    return PostgresRepository(Avatar, stores.reads, stores.sessions)


async def create_avatar(stores: Stores, **values: Any) -> Avatar:
    """An avatar, of a new user where `user_id` isn't given."""
    if "user_id" not in values:
        values["user_id"] = (await create_user(stores)).id
    return await avatars(stores).create({"name": "Standing"} | values)
