"""MongoDB is frozen, killed and replaced under writers and followers: what was acknowledged is told once, in order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import anyio
import httpx
import pytest
from pymongo import AsyncMongoClient

from api.config.settings import Settings
from api.ids import encode_id
from api.stores.mongodb.client import mongo_database
from documents.schemas import DESIGNS
from migrations.runner import upgrade
from tests.chaos import QUICK
from tests.support.applications import listening, running
from tests.support.factories.designs import create_design
from tests.support.failures.proxies import proxying, through
from tests.support.failures.restartable import RestartableStores, restartable_stores
from tests.support.graphql import gid, respond
from tests.support.live import followed, refusal
from tests.support.mutations.designs import query
from tests.support.signing_in import signed_in
from tests.support.stores.unindexed import make_collections

pytestmark = pytest.mark.anyio

TOLD = "subscription ($after: String) { designsChanged(after: $after) { kind designId version resumeToken } }"
WRITERS = 3


@pytest.fixture(scope="module")
def failing() -> Iterator[RestartableStores]:
    with restartable_stores() as stores:
        upgrade(stores.settings())
        yield stores


async def write(client: httpx.AsyncClient, id: str, versions: list[int], stop: asyncio.Event) -> None:
    """Rename a design again and again, without an expectation: `versions` are those that were acknowledged."""
    number = 0
    while not stop.is_set():
        number += 1
        expected = versions[-1] if versions else 1
        given = {"id": id, "expectedVersion": expected, "name": f"{number}"}
        body = await respond(client, query("updateDesign"), input=given)
        payload: Any = (body.get("data") or {}).get("updateDesign")
        if payload is not None and payload["design"] is not None:
            versions.append(payload["design"]["version"])
        elif payload is not None and payload["errors"][0]["code"] == "VERSION_CONFLICT":
            # an earlier attempt whose answer was lost has been made
            versions.append(payload["errors"][0]["current"]["version"])
        else:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("harm", ["frozen", "killed"])
async def test_what_was_acknowledged_is_told(failing: RestartableStores, harm: str) -> None:
    mongodb = failing.servers["MongoDB"]
    ledger = defaultdict[str, list[int]](list)
    told = defaultdict[str, list[int]](list)
    async with running(failing.settings(**QUICK)) as (app, client), listening(app) as port:
        stores, stop = app.state.stores, asyncio.Event()
        ada, account = await signed_in(client, stores)
        ids = [gid(await create_design(stores, user_id=account.id)) for _ in range(WRITERS)]
        async with followed(port, TOLD, ada.headers["authorization"]) as events:
            async with anyio.create_task_group() as group:
                for id in ids:
                    group.start_soon(write, ada, id, ledger[id], stop)
                await until(ledger, 3)
                if harm == "frozen":
                    mongodb.freeze()
                    await asyncio.sleep(3)  # longer than a store may be silent
                    mongodb.thaw()
                else:
                    await asyncio.to_thread(mongodb.kill)
                    mongodb.start()
                    await mongodb.await_ready()
                done = max(len(each) for each in ledger.values())
                await until(ledger, done + 3)
                stop.set()
            while any(told[id][-1:] != ledger[id][-1:] for id in ids):
                event = await events.next()
                told[event["designId"]].append(event["version"])

    assert dict(told) == {id: list(range(2, versions[-1] + 1)) for id, versions in ledger.items()}
    assert all(set(versions) <= set(told[id]) for id, versions in ledger.items())


async def test_another_server_at_the_same_address_ends_those_who_follow(
    failing: RestartableStores, settings: Settings, clean_stores: None, way: str
) -> None:
    """The driver would go on there by itself, with the places of the first one."""
    assert settings.mongodb_url is not None
    elsewhere = failing.settings().mongodb_url
    async with (
        proxying(urlsplit(settings.mongodb_url).port or 0) as address,
        AsyncMongoClient[dict[str, Any]](elsewhere) as client,
    ):
        there = mongo_database(settings, client)
        await make_collections(there)
        url = through(settings.mongodb_url, address.port)
        async with (
            running(settings, mongodb_uri=url) as (app, _),
            listening(app) as port,
            followed(port, TOLD) as events,
        ):
            await create_design(app.state.stores, status="published")
            token = (await events.next())["resumeToken"]
            address.upstream = failing.servers["MongoDB"].port
            address.reset()
            await there[DESIGNS.name].insert_one(design())
            message = await events.socket.receive()

            assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "RESUME_TOKEN_EXPIRED")
            assert await refusal(port, TOLD, after=token) == "RESUME_TOKEN_EXPIRED"
            async with followed(port, TOLD) as again:
                made = await there[DESIGNS.name].insert_one(design())
                assert (await again.next())["designId"] == encode_id("Design", made.inserted_id)


def design() -> dict[str, Any]:
    """As another program makes it."""
    now = datetime.now(UTC)
    own = {"userId": str(uuid4()), "name": "Elsewhere", "status": "published", "layers": [], "catalogItemIds": []}
    return {**own, "version": 1, "createdAt": now, "updatedAt": now}


async def until(ledger: dict[str, list[int]], count: int) -> None:
    """Wait until each design was written so often."""
    with anyio.fail_after(60):
        while min(len(each) for each in ledger.values()) < count:  # noqa: ASYNC110  the writers go on by themselves
            await asyncio.sleep(0.02)
