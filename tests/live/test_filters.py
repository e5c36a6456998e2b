"""Filters mean the same of events, which Python decides, as of lists, which PostgreSQL does."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

import httpx
import pytest

from api.stores.stores import Stores
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.users import create_user
from tests.support.graphql import execute, gid
from tests.support.requests.sockets import socket

pytestmark = pytest.mark.anyio

EVENTS: Final = (
    "subscription ($filter: CatalogItemFilter) { catalogItemsChanged(filter: $filter) { kind itemId item { name } } }"
)
LIST: Final = "query ($filter: CatalogItemFilter) { catalogItems(filter: $filter, first: 100) { nodes { id } } }"

ITEMS: Final[tuple[dict[str, Any], ...]] = (
    {"name": "ÉTÉ Silk", "price": 0},
    {"name": "été", "category": "top", "price": 10, "properties": {"color": "Red", "tags": ["warm", "soft"]}},
    {"name": "100% wool_1", "type": "pattern", "properties": {"tags": "warm", "material": 7}},
    {"name": "Straße", "properties": {"tags": {"warm": 1}, "color": "x" * 300, "texture": ""}},
    {"name": "b", "category": "dress", "is_premium": True, "properties": {"tags": [1, None], "patternType": "dots"}},
    {"name": "c", "thumbnail_url": "https://x.example/1", "properties": {"color": None, "tags": None}},
    {"name": "hidden", "is_active": False, "price": 10},
)
FILTERS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"name": {"contains": "été"}},
    {"name": {"startsWith": "STRASSE"}},
    {"name": {"contains": "% wool_"}},
    {"name": {"in": ["été", "b"]}},
    {"type": ["PATTERN", "SILHOUETTE"]},
    {"category": ["TOP", "DRESS"]},
    {"not": {"category": ["TOP"]}},
    {"hasCategory": False},
    {"price": {"gte": 5, "lt": 11}},
    {"isPremium": True},
    {"hasThumbnail": True},
    {"color": {"contains": "red"}},
    {"color": {"startsWith": "xxx"}},
    {"hasColor": True},
    {"hasMaterial": True},
    {"hasTexture": True},
    {"patternType": {"equals": "dots"}},
    {"tags": {"any": ["warm", "none"]}},
    {"tags": {"all": ["warm", "soft"]}},
    {"not": {"tags": {"any": ["warm"]}}},
    {"or": [{"price": {"gt": 9}}, {"not": {"hasColor": True}}]},
    {"createdAt": {"gt": "2020-01-01T00:00:00Z"}, "updatedAt": {"lt": "2020-01-01T00:00:00Z"}},
)


async def test_events_match_as_lists_do(client: httpx.AsyncClient, port: int, stores: Stores) -> None:
    brand = await create_user(stores, role="brand")
    filters = [*FILTERS, {"createdBy": [gid(brand)]}]
    told = defaultdict[str, list[str]](list)
    async with socket(port) as opened:
        await opened.begin()
        for number, filter in enumerate(filters):
            await opened.subscribe(str(number), EVENTS, variables={"filter": filter})
            assert (await opened.receive())["payload"]["data"]["catalogItemsChanged"]["kind"] == "STARTED"

        for number, values in enumerate(ITEMS):
            await create_catalog_item(stores, created_by=brand.id if number % 2 else None, **values)
        listed = {
            str(number): [node["id"] for node in (await execute(client, LIST, filter=filter))["catalogItems"]["nodes"]]
            for number, filter in enumerate(filters)
        }
        for _ in range(sum(map(len, listed.values()))):
            message = await opened.receive()
            told[message["id"]].append(message["payload"]["data"]["catalogItemsChanged"]["itemId"])
        await opened.send({"type": "ping"})
        assert (await opened.receive())["type"] == "pong"

    assert {number: set(told[number]) for number in listed} == {number: set(ids) for number, ids in listed.items()}
    assert sum(map(bool, listed.values())) > len(filters) / 2
