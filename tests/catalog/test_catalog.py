"""Catalog items as clients read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from api.stores.stores import Stores
from tests.support.factories.catalog import catalog_items, create_catalog_item
from tests.support.factories.designs import create_design, insert_design, layer_of
from tests.support.graphql import execute, gid

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(admin: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client that may see everything."""
    return admin


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FIELDS = """
    __typename id name description type category properties { color texture material patternType tags }
    assetUrl thumbnailUrl isPremium isActive price createdAt updatedAt
"""


async def test_every_field(client: httpx.AsyncClient, stores: Stores) -> None:
    item = await create_catalog_item(
        stores,
        name="Houndstooth",
        description="Broken checks",
        type="pattern",
        category="outerwear",
        properties={
            "color": "black",
            "texture": "rough",
            "material": "wool",
            "patternType": "checks",
            "tags": ["winter", "classic"],
        },
        asset_url="https://cdn.example.com/asset.glb",
        thumbnail_url="https://cdn.example.com/asset.png",
        is_premium=True,
        is_active=False,
        price=2**31 - 1,
        created_at=NOON,
        updated_at=NOON,
    )

    data = await execute(client, f"query ($id: ID!) {{ catalogItem(id: $id) {{ {FIELDS} }} }}", id=gid(item))

    assert data["catalogItem"] == {
        "__typename": "CatalogItem",
        "id": gid(item),
        "name": "Houndstooth",
        "description": "Broken checks",
        "type": "PATTERN",
        "category": "OUTERWEAR",
        "properties": {
            "color": "black",
            "texture": "rough",
            "material": "wool",
            "patternType": "checks",
            "tags": ["winter", "classic"],
        },
        "assetUrl": "https://cdn.example.com/asset.glb",
        "thumbnailUrl": "https://cdn.example.com/asset.png",
        "isPremium": True,
        "isActive": False,
        "price": 2147483647,
        "createdAt": "2026-01-01T12:00:00+00:00",
        "updatedAt": "2026-01-01T12:00:00+00:00",
    }


@pytest.mark.parametrize("properties", [{}, {"tags": None, "color": None}, {"unknown": 1, "tags": []}])
async def test_what_an_item_may_lack(client: httpx.AsyncClient, stores: Stores, properties: dict[str, Any]) -> None:
    item = await create_catalog_item(stores, name="Silk", type="fabric", properties=properties)

    data = await execute(client, f"query ($id: ID!) {{ catalogItem(id: $id) {{ {FIELDS} }} }}", id=gid(item))

    found = data["catalogItem"]
    for field in ("description", "category", "assetUrl", "thumbnailUrl"):
        assert found[field] is None
    assert (found["isPremium"], found["isActive"], found["price"]) == (False, True, 0)
    assert found["properties"] == {
        "color": None,
        "texture": None,
        "material": None,
        "patternType": None,
        "tags": [],
    }


async def test_every_type_and_category(client: httpx.AsyncClient, stores: Stores) -> None:
    types = ("silhouette", "fabric", "pattern")
    categories = ("top", "bottom", "dress", "outerwear", "accessory", "other")
    for number, category in enumerate(categories):
        await create_catalog_item(stores, name=str(number), type=types[number % 3], category=category)

    data = await execute(client, "{ catalogItems(orderBy: {field: NAME}) { nodes { type category } } }")

    assert data["catalogItems"]["nodes"] == [
        {"type": types[number % 3].upper(), "category": category.upper()} for number, category in enumerate(categories)
    ]


async def test_a_deleted_item_is_absent_until_it_is_restored(client: httpx.AsyncClient, stores: Stores) -> None:
    silk, wool = await create_catalog_item(stores, name="Silk"), await create_catalog_item(stores, name="Wool")
    layers = [layer_of(silk.id, id="1"), layer_of(wool.id, id="2"), layer_of(silk.id, id="3")]
    await create_design(stores, layers=layers)
    await catalog_items(stores).soft_delete(silk.id)
    query = """query ($id: ID!) {
      catalogItem(id: $id) { id } node(id: $id) { id }
      catalogItems(orderBy: {field: NAME}) { nodes { name } totalCount }
      designs { nodes { layers { layerId catalogItem { name } } catalogItems { name } } }
    }"""

    deleted = await execute(client, query, id=gid(silk))
    await catalog_items(stores).restore(silk.id)
    restored = await execute(client, query, id=gid(silk))

    assert deleted == {
        "catalogItem": None,
        "node": None,
        "catalogItems": {"nodes": [{"name": "Wool"}], "totalCount": 1},
        "designs": {
            "nodes": [
                {
                    "layers": [
                        {"layerId": "1", "catalogItem": None},
                        {"layerId": "2", "catalogItem": {"name": "Wool"}},
                        {"layerId": "3", "catalogItem": None},
                    ],
                    "catalogItems": [{"name": "Wool"}],
                }
            ]
        },
    }
    assert restored["catalogItem"] == restored["node"] == {"id": gid(silk)}
    assert restored["catalogItems"]["totalCount"] == 2
    assert restored["designs"]["nodes"][0]["catalogItems"] == [{"name": "Silk"}, {"name": "Wool"}]
    assert [layer["catalogItem"]["name"] for layer in restored["designs"]["nodes"][0]["layers"]] == [
        "Silk",
        "Wool",
        "Silk",
    ]


async def test_an_inactive_item_still_resolves_in_designs(client: httpx.AsyncClient, stores: Stores) -> None:
    item = await create_catalog_item(stores, name="Silk", is_active=False)
    await create_design(stores, layers=[layer_of(item.id)])

    data = await execute(
        client, "{ designs { nodes { layers { catalogItem { name isActive } } catalogItems { name } } } }"
    )

    assert data["designs"]["nodes"] == [
        {"layers": [{"catalogItem": {"name": "Silk", "isActive": False}}], "catalogItems": [{"name": "Silk"}]}
    ]


async def test_designs_of_items(client: httpx.AsyncClient, stores: Stores) -> None:
    silk, wool = await create_catalog_item(stores, name="Silk"), await create_catalog_item(stores, name="Wool")
    await create_catalog_item(stores, name="Unused")
    both = [layer_of(silk.id, id="1"), layer_of(wool.id, id="2")]
    await create_design(stores, name="both", layers=both)
    await create_design(stores, name="twice", layers=[layer_of(silk.id, id="1"), layer_of(silk.id, id="2")])
    await create_design(stores, name="deleted", layers=both, deleted_at=NOON)

    data = await execute(
        client,
        """{ catalogItems(first: 10, orderBy: {field: NAME}) { nodes {
          name designs(first: 10, orderBy: {field: NAME}) { nodes { name catalogItems { name } } totalCount }
        } } }""",
    )

    in_both = {"name": "both", "catalogItems": [{"name": "Silk"}, {"name": "Wool"}]}
    twice = {"name": "twice", "catalogItems": [{"name": "Silk"}]}
    assert data["catalogItems"]["nodes"] == [
        {"name": "Silk", "designs": {"nodes": [in_both, twice], "totalCount": 2}},
        {"name": "Unused", "designs": {"nodes": [], "totalCount": 0}},
        {"name": "Wool", "designs": {"nodes": [in_both], "totalCount": 1}},
    ]


async def test_layers_say_whose_designs_they_are_whatever_another_program_left(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    """The original neither writes nor keeps `catalogItemIds`."""
    silk, wool = await create_catalog_item(stores, name="Silk"), await create_catalog_item(stores, name="Wool")
    layers = [layer_of(silk.id, id="1"), layer_of(silk.id, id="2"), layer_of(None, id="3")]
    shown = {"status": "published"}
    await insert_design(stores, name="1 without", layers=layers, **shown)
    await insert_design(stores, name="2 null", layers=layers, catalogItemIds=None, **shown)
    await insert_design(stores, name="3 before", layers=layers, catalogItemIds=[str(wool.id)], **shown)
    await insert_design(stores, name="4 odd", layers=[5, None, {"itemId": 5}, *layers], catalogItemIds="none", **shown)
    await insert_design(stores, name="5 bare", catalogItemIds=[str(silk.id)], **shown)
    page = """(first: 2, after: $after, orderBy: {field: NAME}%s) {
      nodes { name catalogItems { name } } totalCount pageInfo { endCursor hasNextPage } }"""
    of_item = f"query ($id: ID!, $after: String) {{ catalogItem(id: $id) {{ designs{page % ''} }} }}"
    of_filter = f"query ($id: [ID!], $after: String) {{ designs{page % ', filter: {catalogItem: $id}'} }}"

    for query in (of_item, of_filter):
        found: list[str] = []
        cursor = None
        for more in (True, False):
            data = await execute(client, query, id=gid(silk), after=cursor)
            designs = data.get("catalogItem", data)["designs"]
            cursor = designs["pageInfo"]["endCursor"]
            assert (designs["totalCount"], designs["pageInfo"]["hasNextPage"]) == (4, more)
            assert [node["catalogItems"] for node in designs["nodes"]] == [[{"name": "Silk"}]] * 2
            found += [node["name"] for node in designs["nodes"]]
        assert found == ["1 without", "2 null", "3 before", "4 odd"]
    others = await execute(
        client, "query ($id: ID!) { designs(filter: {not: {catalogItem: [$id]}}) { nodes { name } } }", id=gid(silk)
    )
    assert others["designs"]["nodes"] == [{"name": "5 bare"}]
    of_wool = await execute(client, of_item, id=gid(wool))
    assert of_wool["catalogItem"]["designs"]["nodes"] == []
