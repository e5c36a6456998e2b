"""Filters mean the same of events, which Python decides, as of lists, which MongoDB does."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import pytest

from api.ids import encode_id
from api.live.change_streams import has_change_streams
from api.stores.stores import Stores
from tests.live.conftest import keep_images
from tests.support.factories.designs import designs, insert_design, layer_of
from tests.support.graphql import execute
from tests.support.live import followed
from tests.support.requests.sockets import socket
from tests.support.signing_in import signed_in
from tests.support.stores.odd_designs import odd_documents, sound

pytestmark = pytest.mark.anyio

EVENTS: Final = "subscription ($filter: DesignFilter) { designsChanged(filter: $filter) { kind designId } }"
CHANGED: Final = """subscription {
  designsChanged { kind designId version actor { id } diff { fields { field before after } changed { layerId } } }
}"""
LIST: Final = "query ($filter: DesignFilter) { designs(filter: $filter, first: 100) { nodes { id } } }"
ITEM: Final = "9a4f2b68-0a5d-4f0e-b7a1-52a4f2d3c021"
OWNER: Final = "0b8f3a52-6a2e-4a55-9d3c-1f1d6c1f7a01"
AVATAR: Final = "f3c3a1de-93c6-4b26-8b0e-6a63d94c9b11"

DESIGNS: Final[tuple[dict[str, Any], ...]] = (
    {"name": "ÉTÉ Silk", "status": "published", "metadata": {"tags": ["warm", "soft"]}},
    {"name": "été", "status": "published", "layers": [layer_of(None), layer_of(ITEM)], "avatarId": AVATAR},
    {"name": "100% wool_1", "status": "archived", "metadata": {"tags": "warm"}},
    {"name": "Straße", "status": "published", "metadata": {"tags": {"warm": 1}}, "userId": OWNER},
    {"name": 7, "status": "published", "metadata": "warm", "layers": layer_of(ITEM)},
    {"name": None, "status": ["published"], "metadata": {"tags": [1, None]}, "layers": [ITEM, [layer_of(ITEM)]]},
    {"name": "b", "status": "published", "updatedAt": "yesterday", "createdAt": None, "avatarId": 7},
    {"name": "c", "status": "draft", "userId": OWNER, "updatedAt": datetime(2999, 1, 1, tzinfo=UTC)},
    {"name": "gone", "status": "published", "deletedAt": datetime(2026, 1, 1, tzinfo=UTC)},
    {"name": "oddly gone", "status": "published", "deletedAt": "yes"},
    {"name": "not gone", "status": "published", "deletedAt": None},
)
FILTERS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"name": {"contains": "été"}},
    {"name": {"startsWith": "STRASSE"}},
    {"name": {"startsWith": "straß"}},
    {"name": {"contains": "% wool_"}},
    {"name": {"in": ["été", "b"]}},
    {"not": {"name": {"contains": "e"}}},
    {"status": ["PUBLISHED", "ARCHIVED"]},
    {"not": {"status": ["DRAFT"]}},
    {"tags": {"any": ["warm", "none"]}},
    {"tags": {"all": ["warm", "soft"]}},
    {"not": {"tags": {"any": ["warm"]}}},
    {"catalogItem": [encode_id("CatalogItem", ITEM)]},
    {"not": {"catalogItem": [encode_id("CatalogItem", ITEM)]}},
    {"avatar": [encode_id("Avatar", AVATAR)]},
    {"owner": [encode_id("User", OWNER)]},
    {"createdAt": {"gt": "2019-12-31T23:59:59.999500Z", "lte": "2020-01-01T00:00:00Z"}},
    {"updatedAt": {"gte": "2020-01-01T00:00:00.000001Z"}},
    {"not": {"updatedAt": {"lt": "2020-01-02T00:00:00Z"}}},
    {"or": [{"name": {"equals": "b"}}, {"and": [{"owner": [encode_id("User", OWNER)]}, {"status": ["DRAFT"]}]}]},
)


@pytest.fixture(autouse=True)
async def streams(stores: Stores) -> None:
    """What is written here has old times, or none, so it is only told where there are change streams."""
    if not await has_change_streams(stores.database):
        pytest.skip("this server has no change streams")
    await keep_images(stores, True)


@pytest.mark.parametrize("role", ["admin", None])
async def test_events_match_as_lists_do(client: httpx.AsyncClient, port: int, stores: Stores, role: str | None) -> None:
    told = defaultdict[str, list[str]](list)
    viewer, payload = client, dict[str, str]()
    if role is not None:
        viewer, _ = await signed_in(client, stores, role)
        payload = {"authorization": viewer.headers["authorization"]}
    async with socket(port) as opened:
        await opened.begin(**payload)
        for number, filter in enumerate(FILTERS):
            await opened.subscribe(str(number), EVENTS, variables={"filter": filter})
            assert (await opened.receive())["payload"]["data"]["designsChanged"]["kind"] == "STARTED"

        for values in DESIGNS:
            await insert_design(stores, **values)
        listed = {
            str(number): [node["id"] for node in (await execute(viewer, LIST, filter=filter))["designs"]["nodes"]]
            for number, filter in enumerate(FILTERS)
        }
        for _ in range(sum(map(len, listed.values()))):
            message = await opened.receive()
            told[message["id"]].append(message["payload"]["data"]["designsChanged"]["designId"])
        await opened.send({"type": "ping"})
        assert (await opened.receive())["type"] == "pong"

    assert {number: set(told[number]) for number in listed} == {number: set(ids) for number, ids in listed.items()}
    assert sum(map(bool, listed.values())) > len(FILTERS) / 2


async def test_odd_designs_stop_nothing(client: httpx.AsyncClient, port: int, stores: Stores) -> None:
    """Whatever another program has stored: what it changes into something sound is told, with its differences."""
    admin, account = await signed_in(client, stores, "admin")
    plain = sound(str(account.id), AVATAR, ITEM)
    odd = odd_documents(plain)
    await designs(stores).collection.insert_many([*odd.values()], bypass_document_validation=True)
    expected = [encode_id("Design", each["_id"]) for each in odd.values() if each.get("deletedAt") is None]
    fields = (
        "kind designId version changedFields actor { id } at diff { fields { field before after } changed { layerId } }"
    )
    async with followed(
        port, f"subscription {{ designsChanged {{ {fields} }} }}", admin.headers["authorization"]
    ) as events:
        for each in odd.values():
            values = plain | {"name": "Mended", "version": 9}
            await designs(stores).collection.update_one(
                {"_id": each["_id"]}, {"$set": values}, bypass_document_validation=True
            )
        told = [await events.next() for _ in expected]

    assert [each["designId"] for each in told] == expected
    assert {each["kind"] for each in told} == {"UPDATED"}
    assert {each["version"] for each in told} == {9}
    assert all(len(each["diff"]["fields"]) > 0 for each in told)
