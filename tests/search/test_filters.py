"""Searches that are narrowed by filters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from api.stores.stores import Stores
from tests.search.conftest import SEARCH, names
from tests.search.following import copy_designs
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user
from tests.support.graphql import error_of, execute, gid, sent
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

FILTERED = SEARCH.replace("$after: String", "$after: String, $filter: SearchFilter").replace(
    "after: $after", "after: $after, filter: $filter"
)


async def found(client: httpx.AsyncClient, query: str, filter: Any, **variables: Any) -> list[str]:
    """The names of what is found, in their own order; they are also counted."""
    data = await execute(client, FILTERED, text=query, filter=filter, **variables)
    assert data["search"]["totalCount"] == len(names(data))
    return sorted(names(data))


async def wardrobe(stores: Stores) -> None:
    for name, kind, price, properties in (
        ("Silk A", "fabric", 100, {"color": "red", "tags": ["airy", "summer"]}),
        ("Silk B", "fabric", 900, {"color": "navy", "material": "silk", "tags": ["airy"]}),
        ("Silk C", "pattern", 500, {"color": None, "patternType": "stripes"}),
    ):
        await create_catalog_item(stores, name=name, type=kind, price=price, properties=properties)
    await create_catalog_item(stores, name="Wool", type="fabric")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"type": "FABRIC"}, ["Silk A", "Silk B"]),
        ({"type": ["FABRIC", "PATTERN"]}, ["Silk A", "Silk B", "Silk C"]),
        ({"price": {"gt": 100, "lt": 900}}, ["Silk C"]),
        ({"color": {"equals": "red"}}, ["Silk A"]),
        ({"color": {"contains": "AV"}}, ["Silk B"]),
        ({"hasColor": False}, ["Silk C"]),
        ({"material": {"in": ["silk", "wool"]}}, ["Silk B"]),
        ({"patternType": {"startsWith": "str"}}, ["Silk C"]),
        ({"tags": {"any": ["airy"]}}, ["Silk A", "Silk B"]),
        ({"tags": {"all": ["airy", "summer"]}}, ["Silk A"]),
        ({"not": {"tags": {"any": ["airy"]}}}, ["Silk C"]),
        ({"or": [{"price": {"lte": 100}}, {"type": "PATTERN"}]}, ["Silk A", "Silk C"]),
        ({"name": {"equals": "Wool"}}, []),
        ({"isActive": False}, []),
        ({"deleted": False}, ["Silk A", "Silk B", "Silk C"]),
        ({}, ["Silk A", "Silk B", "Silk C"]),
        (None, ["Silk A", "Silk B", "Silk C"]),
    ],
)
async def test_items(client: httpx.AsyncClient, stores: Stores, asked: Any, expected: list[str]) -> None:
    await wardrobe(stores)
    assert await found(client, "silk", {"catalogItems": asked}) == expected


async def test_designs(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, account = await signed_in(client, stores)
    other = await create_user(stores)
    now = datetime.now(UTC)
    mine = await create_design(
        stores, user_id=account.id, name="Silk draft", metadata={"tags": ["airy", "summer"]}, updated_at=now
    )
    theirs = await create_design(
        stores,
        user_id=other.id,
        name="Silk show",
        status="published",
        metadata={"tags": ["airy"]},
        updated_at=now - timedelta(days=2),
    )
    await create_design(stores, user_id=other.id, name="Silk secret", metadata={"tags": ["airy"]}, updated_at=now)
    await copy_designs(stores)

    async def those(**asked: Any) -> list[str]:
        return await found(ada, "silk", {"designs": asked})

    assert await those() == ["Silk draft", "Silk show"]
    assert await those(status="DRAFT") == ["Silk draft"]
    assert await those(status=["PUBLISHED", "ARCHIVED"]) == ["Silk show"]
    assert await those(owner=gid(account)) == ["Silk draft"]
    assert await those(owner=[gid(other)]) == ["Silk show"]
    assert await those(id=gid(theirs)) == ["Silk show"]
    assert await those(tags={"any": ["airy"]}) == ["Silk draft", "Silk show"]
    assert await those(tags={"all": ["airy", "summer"]}) == ["Silk draft"]
    assert await those(name={"contains": "DRAF"}) == ["Silk draft"]
    assert await those(updatedAt={"gte": (now - timedelta(days=1)).isoformat()}) == ["Silk draft"]
    assert await those(**{"not": {"id": [gid(mine)]}}) == ["Silk show"]
    assert await those(**{"or": [{"id": gid(mine)}, {"name": {"startsWith": "silk sh"}}]}) == [
        "Silk draft",
        "Silk show",
    ]


async def test_a_filter_narrows_its_own_type(client: httpx.AsyncClient, stores: Stores) -> None:
    await wardrobe(stores)
    await create_design(stores, name="Silk show", status="published")
    await copy_designs(stores)
    fabrics = {"catalogItems": {"type": "FABRIC"}}
    assert await found(client, "silk", fabrics) == ["Silk A", "Silk B", "Silk show"]
    assert await found(client, "silk", fabrics, types=["CATALOG_ITEM"]) == ["Silk A", "Silk B"]
    assert await found(client, "silk", fabrics, types=["DESIGN"]) == ["Silk show"]
    assert await found(client, "silk", fabrics | {"designs": {"status": "DRAFT"}}) == ["Silk A", "Silk B"]


async def test_pages_of_a_filter(client: httpx.AsyncClient, stores: Stores) -> None:
    for number in range(7):
        await create_catalog_item(stores, name=f"Silk {number}", price=number)
    asked = {"catalogItems": {"price": {"gte": 2}}}
    whole = (await execute(client, FILTERED, text="silk", filter=asked, first=100))["search"]
    assert len(whole["edges"]) == whole["totalCount"] == 5
    edges: list[Any] = []
    after = None
    while True:
        page = (await execute(client, FILTERED, text="silk", filter=asked, first=2, after=after))["search"]
        edges += page["edges"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert edges == whole["edges"]
    others: list[Any] = [None, *({"catalogItems": each} for each in ({"price": {"gte": 3}}, {"type": "FABRIC"})), {}]
    for other in others:
        code = (await error_of(client, FILTERED, text="silk", filter=other, after=after))[0]
        assert code == "BAD_CURSOR"


async def test_a_word_that_the_filter_leaves_nowhere_is_not_corrected(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    await create_catalog_item(stores, name="Form", type="fabric")
    await create_catalog_item(stores, name="Warm", type="pattern")
    asked = {"catalogItems": {"type": "PATTERN"}}
    data = await execute(client, FILTERED, text="form ", filter=asked)
    assert (names(data), data["search"]["correctedQuery"]) == ([], None)
    data = await execute(client, FILTERED, text="warmm ", filter=asked)
    assert (names(data), data["search"]["correctedQuery"]) == (["Warm"], "warm")


async def test_after_the_last_page_follows_no_corrected_query(client: httpx.AsyncClient, stores: Stores) -> None:
    await create_catalog_item(stores, name="Pin and stripe")
    await create_catalog_item(stores, name="Pinstripe")
    first = (await execute(client, SEARCH, text="pin stripe"))["search"]
    assert [edge["node"]["name"] for edge in first["edges"]] == ["Pin and stripe"]
    last = (await execute(client, SEARCH, text="pin stripe", after=first["pageInfo"]["endCursor"]))["search"]
    assert (last["edges"], last["correctedQuery"]) == ([], None)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"catalogItems": {"deleted": True}}, "BAD_USER_INPUT"),
        ({"catalogItems": {"id": "nothing"}}, "BAD_ID"),
        ({"catalogItems": {"name": {"equals": "\0"}}}, "BAD_USER_INPUT"),
        ({"designs": {"owner": ["VXNlcjox"]}}, "BAD_ID"),
        ({"designs": {"tags": {"any": ["x" * 256]}}}, "BAD_USER_INPUT"),
        ({"designs": {"id": ["x"] * 101}}, "BAD_USER_INPUT"),
    ],
)
async def test_bad_filters(client: httpx.AsyncClient, stores: Stores, asked: Any, code: str) -> None:
    for types in (None, ["CATALOG_ITEM"], ["DESIGN"]):
        assert (await error_of(client, FILTERED, text="silk", filter=asked, types=types))[0] == code


async def test_a_filter_is_no_other_statement(client: httpx.AsyncClient, stores: Stores, app: Starlette) -> None:
    await wardrobe(stores)
    query = 'query ($filter: SearchFilter) { search(query: "silk", filter: $filter) { edges { score } } }'
    for asked in (None, {"catalogItems": {"type": "FABRIC"}, "designs": {"status": "DRAFT"}}):
        with sent(app) as costs:
            await execute(client, query, filter=asked)
        assert (len(costs.sql), costs.mongo) == (1, 0)
