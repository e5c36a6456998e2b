"""Nothing of a request outlives it: as many objects after twice as many requests."""

from __future__ import annotations

import gc

import httpx
import pytest

from api.stores import Stores
from tests.factories.avatars import create_avatar
from tests.factories.catalog import create_catalog_item
from tests.factories.designs import create_design, layer_of
from tests.factories.users import create_user
from tests.graphql import respond

pytestmark = pytest.mark.anyio

REQUESTS = 25
"""Of each operation."""
OPERATIONS = (
    "{ designs { nodes { name owner { firstName } avatar { name } layers { catalogItem { name } } } totalCount } }",
    "{ users(first: 5) { nodes { email avatars(first: 2) { nodes { name } } designs(first: 2) { nodes { id } } } } }",
    "{ catalogItems(filter: {type: FABRIC}) { edges { cursor node { id properties { tags } } } } health { status } }",
    '{ user(id: "nobody") { id } }',
)


async def objects_after(client: httpx.AsyncClient, requests: int) -> int:
    """How many objects there are when so many requests of each operation have been answered."""
    for _ in range(requests):
        for query in OPERATIONS:
            await respond(client, query)
    gc.collect()
    return len(gc.get_objects())


async def test_requests_leave_nothing_behind(admin: httpx.AsyncClient, stores: Stores) -> None:
    user = await create_user(stores)
    avatar = await create_avatar(stores, user_id=user.id)
    item = await create_catalog_item(stores)
    await create_design(stores, user_id=user.id, avatar_id=avatar.id, layers=[layer_of(item.id)])
    await objects_after(admin, 8)  # what is made once: plans, statements, connections

    before = await objects_after(admin, REQUESTS)
    after = await objects_after(admin, REQUESTS)

    # a single object that stayed of each request would be 4 times as many
    assert after - before < REQUESTS
