"""Nothing of a request outlives it: as many objects of each class after twice as many requests."""

from __future__ import annotations

import gc
from collections import Counter

import httpx
import pytest

from api.stores.stores import Stores
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.factories.users import create_user
from tests.support.graphql import respond
from tests.support.stores.shared_values import SharedValues

pytestmark = pytest.mark.anyio

REQUESTS = 25
"""Of each operation."""
OURS = ("api.", "models.", "documents.", "strawberry.", "graphql.", "starlette.", "sqlalchemy.", "structlog.")
OPERATIONS = (
    "{ designs { nodes { name owner { firstName } avatar { name } layers { catalogItem { name } } } totalCount } }",
    "{ users(first: 5) { nodes { email avatars(first: 2) { nodes { name } } designs(first: 2) { nodes { id } } } } }",
    "{ catalogItems(filter: {type: FABRIC}) { edges { cursor node { id properties { tags } } } } health { status } }",
    '{ user(id: "nobody") { id } }',
)


async def objects_after(client: httpx.AsyncClient, requests: int, noted: SharedValues) -> Counter[str]:
    """How many objects there are of each class when so many requests of each operation have been answered.

    Those of the drivers and of asyncio come and go with their connections, and are left out.
    """
    for _ in range(requests):
        for query in OPERATIONS:
            await respond(client, query)
    noted.read.clear()  # the fixture's own
    gc.collect()
    names = (f"{kind.__module__}.{kind.__name__}" for kind in map(type, gc.get_objects()))
    return Counter(name for name in names if name.startswith(OURS))


async def test_requests_leave_nothing_behind(
    admin: httpx.AsyncClient, stores: Stores, shared_values: SharedValues
) -> None:
    user = await create_user(stores)
    avatar = await create_avatar(stores, user_id=user.id)
    item = await create_catalog_item(stores)
    await create_design(stores, user_id=user.id, avatar_id=avatar.id, layers=[layer_of(item.id)])
    await objects_after(admin, 8, shared_values)  # what is made once: plans, statements, connections

    before = await objects_after(admin, REQUESTS, shared_values)
    after = await objects_after(admin, REQUESTS, shared_values)

    # an object that stayed of each request would be REQUESTS times there
    assert {name: count for name, count in (after - before).items() if count >= REQUESTS} == {}
