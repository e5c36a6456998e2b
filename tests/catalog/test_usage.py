"""How much items are used, as their brand and admins read it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from api.stores.stores import Stores
from documents.base import utc_now
from models import new_id
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, insert_design, layer_of
from tests.support.graphql import execute, gid, sent
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

QUERY = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on CatalogItem { usage { designs users } } } }"
PAGE = "query ($first: Int) { catalogItems(first: $first) { nodes { usage { designs users } } } }"


async def used(client: httpx.AsyncClient, *items: Any) -> list[Any]:
    """The designs and users of each item; None where these aren't told."""
    found = await execute(client, QUERY, ids=[gid(item) for item in items])
    return [node["usage"] and (node["usage"]["designs"], node["usage"]["users"]) for node in found["nodes"]]


async def test_live_designs_and_their_users_are_counted(admin: httpx.AsyncClient, stores: Stores) -> None:
    worn, once, never = [await create_catalog_item(stores) for _ in range(3)]
    ada, ben = new_id(), new_id()
    await create_design(stores, user_id=ada, layers=[layer_of(worn.id, id="a"), layer_of(worn.id, id="b")])
    await create_design(stores, user_id=ada, status="published", layers=[layer_of(worn.id), layer_of(once.id, id="b")])
    await create_design(stores, user_id=ben, status="archived", layers=[layer_of(worn.id, visible=False)])
    await create_design(stores, user_id=new_id(), layers=[layer_of(never.id)], deleted_at=utc_now())

    assert await used(admin, worn, once, never) == [(3, 2), (1, 1), (0, 0)]


async def test_designs_of_other_programs_are_counted(admin: httpx.AsyncClient, stores: Stores) -> None:
    item = await create_catalog_item(stores)
    await insert_design(stores, layers=[layer_of(item.id)])  # without catalogItemIds
    await insert_design(stores, layers="none")

    assert await used(admin, item) == [(1, 1)]


async def test_usage_is_for_the_brand_and_admins(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, stores: Stores
) -> None:
    brand, account = await signed_in(client, stores, "brand")
    other, _ = await signed_in(client, stores, "brand")
    user, somebody = await signed_in(client, stores, "user")
    mine = await create_catalog_item(stores, created_by=account.id)
    theirs = await create_catalog_item(stores, created_by=somebody.id)  # who is no brand any more
    await create_design(stores, layers=[layer_of(mine.id)])

    assert await used(brand, mine, theirs) == [(1, 1), None]
    assert await used(admin, mine, theirs) == [(1, 1), (0, 0)]
    for viewer in (other, user, client):
        assert await used(viewer, mine, theirs) == [None, None]


async def test_a_page_costs_one_command(app: Starlette, admin: httpx.AsyncClient, stores: Stores) -> None:
    items = [await create_catalog_item(stores) for _ in range(20)]
    await create_design(stores, layers=[layer_of(item.id, id=str(number)) for number, item in enumerate(items)])

    for first in (2, 20):
        with sent(app) as costs:
            found = await execute(admin, PAGE, first=first)
        assert [node["usage"] for node in found["catalogItems"]["nodes"]] == [{"designs": 1, "users": 1}] * first
        assert (len(costs.sql), costs.mongo) == (1, 1)


async def test_nothing_is_asked_of_mongodb_for_others(
    app: Starlette, client: httpx.AsyncClient, stores: Stores
) -> None:
    await create_catalog_item(stores)

    with sent(app) as costs:
        found = await execute(client, PAGE, first=2)

    assert found["catalogItems"]["nodes"] == [{"usage": None}]
    assert (len(costs.sql), costs.mongo) == (1, 0)
