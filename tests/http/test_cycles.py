"""What a request leaves behind: nothing that only the cyclic garbage collector could free."""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any

import httpx
import pytest

from api.stores.stores import Stores
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.factories.users import create_user
from tests.support.graphql import execute

pytestmark = [pytest.mark.anyio, pytest.mark.executed_once]

REQUESTS = 25
"""More than the application of an earlier test, which may go meanwhile, has objects of a class."""

QUERIES = (
    """{ designs { edges { cursor node { id name layers { layerId position { x } catalogItem { id name } }
           owner { id firstName } avatar { id measurements { height } } } } pageInfo { endCursor } totalCount } }""",
    "{ users { nodes { id avatars { nodes { id name } } designs(first: 5) { edges { node { id status } } } } } }",
    "{ catalogItems { nodes { id type properties { tags } designs { totalCount } } } health { status } }",
)


@pytest.mark.parametrize("query", QUERIES)
async def test_a_request_leaves_no_cycles(admin: httpx.AsyncClient, stores: Stores, query: str) -> None:
    """What a cycle holds (contexts, loaders, rows) lives until a collection, which then takes the longer for it."""
    user = await create_user(stores)
    avatar = await create_avatar(stores, user_id=user.id)
    item = await create_catalog_item(stores)
    for _ in range(3):
        await create_design(stores, user_id=user.id, avatar_id=avatar.id, layers=[layer_of(item.id)])
    for _ in range(3):  # plans, statements and code are made, connections opened
        await execute(admin, query)
    gc.collect()
    gc.disable()
    try:
        for _ in range(REQUESTS):
            await execute(admin, query)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        ours = Counter(
            name for found in gc.garbage if (name := _name(found)).startswith(("api.", "models.", "documents."))
        )
        rows = sum(type(found).__name__ == "Row" for found in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    of_each_request = {name: number for name, number in ours.items() if number >= REQUESTS}
    assert (of_each_request, rows) == ({}, 0)


def _name(found: Any) -> str:
    return f"{type(found).__module__}.{type(found).__qualname__}"
