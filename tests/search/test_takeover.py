"""Following designs while processes are killed and stores are away: nothing is lost, and search goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog
from sqlalchemy import text

from api.config.settings import Settings
from api.search import feed
from api.stores.stores import Stores
from tests.search.conftest import SEARCH, names
from tests.search.following import change_design, delete_design, eventually
from tests.support.applications import running
from tests.support.factories.designs import create_design, designs, insert_design, object_id
from tests.support.failures.proxies import proxying, through
from tests.support.graphql import execute, respond
from tests.support.servers import Server, environment, serving

pytestmark = [
    pytest.mark.anyio,
    # pymongo leaves a socket to the garbage collector where a task is cancelled while it connects
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

Rows = dict[str, tuple[str, str]]
"""By id: name and status."""


async def known(stores: Stores) -> Rows:
    """What search knows of designs."""
    async with stores.reads.connect() as connection:
        found = await connection.execute(text("SELECT id, name, status FROM design.design_search"))
        return {row.id: (row.name, row.status) for row in found}


async def stored(stores: Stores) -> Rows:
    """What there is to know."""
    there = designs(stores).collection.find({"deletedAt": None}, {"name": 1, "status": 1})
    return {str(each["_id"]): (each["name"], each["status"]) async for each in there}


async def is_followed(stores: Stores) -> bool:
    status = await feed.status(stores.engine)
    return status is not None and status.is_followed


async def write_on(stores: Stores) -> None:
    """Make, change and delete designs until it is cancelled."""
    number = 0
    while True:
        number += 1
        made = object_id(await create_design(stores, name=f"Design {number}", status="published"))
        if number % 3 == 0:
            await change_design(stores, made, name=f"Changed {number}")
        if number % 5 == 0:
            await delete_design(stores, made)
        await asyncio.sleep(0.01)


@asynccontextmanager
async def writing(stores: Stores) -> AsyncIterator[None]:
    task = asyncio.create_task(write_on(stores))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def is_level(stores: Stores) -> bool:
    """Whether search knows all designs as they are."""
    return await known(stores) == await stored(stores)


async def test_another_process_takes_over_from_one_that_is_killed(
    settings: Settings, clean_stores: None, stores: Stores, tmp_path: Path
) -> None:
    def process(name: str) -> Any:
        folder = tmp_path / name
        folder.mkdir()
        variables = environment(settings, SEARCH_INDEXING="true", WORKERS="1")
        return serving("serve", "--port", "0", folder=folder, variables=variables)

    first: Server
    with process("first") as first:
        await eventually(partial(is_followed, stores), True)
        with process("second"):
            async with writing(stores):
                await asyncio.sleep(0.5)
                first.process.kill()
                first.process.wait(30)
                await asyncio.sleep(0.5)
            # what was written while nobody followed, too; and a write that was cancelled may still arrive
            await eventually(partial(is_level, stores), True)
            assert len(await stored(stores)) > 10
            await create_design(stores, name="After", status="published")
            await eventually(partial(is_level, stores), True)


@pytest.mark.own_connections
async def test_search_goes_on_without_mongodb_and_follows_again(
    settings: Settings, clean_stores: None, stores: Stores
) -> None:
    await create_design(stores, name="Velvet", status="published")
    assert settings.mongodb_url is not None
    async with proxying(urlsplit(settings.mongodb_url).port or 0) as proxy:
        changes: dict[str, Any] = {
            "mongodb_uri": through(settings.mongodb_url, proxy.port),
            "mongodb_selection_timeout": 0.2,
            "breaker_probe_timeout": 0.5,
            "breaker_probe_interval": 0.02,
        }
        async with running(settings, search_indexing=True, **changes) as (_, client):

            async def found() -> list[str]:
                return names(await execute(client, SEARCH, text="velvet"))

            async def behind() -> float:
                check = (await client.get("/health/database")).json()["checks"]["search"]
                seconds: float = check["secondsBehind"]
                return seconds

            await eventually(found, ["Velvet"])
            with structlog.testing.capture_logs() as logs:
                proxy.refuse()
                # written past the proxy
                written = await create_design(stores, name="Velvet too", status="published")
                await insert_design(stores, name="Velvet draft", updatedAt=datetime.now(UTC))
                await asyncio.sleep(1.5)
                body = await respond(client, SEARCH, text="velvet")
                assert body["data"]["search"]["totalCount"] == 1
                assert [edge["node"] for edge in body["data"]["search"]["edges"]] == [None]
                (error,) = body["errors"]
                assert error["extensions"]["code"] == "STORE_UNAVAILABLE"
                assert error["path"] == ["search", "edges", 0, "node"]
                assert await behind() > 1
            told = [line["log_level"] for line in logs if line["event"] == "search can't follow designs"]
            assert told == ["warning"]  # once, however often it was tried
            await proxy.listen()
            await eventually(partial(is_level, stores), True)
            await eventually(lambda: is_one_of(found, written.name), True)

            async def has_caught_up() -> bool:
                return await behind() < 1.5

            await eventually(has_caught_up, True)


async def is_one_of(found: Any, name: str) -> bool:
    return name in await found()
