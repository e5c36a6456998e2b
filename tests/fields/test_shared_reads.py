"""Queries at the same time share their reads, and each is answered what it is answered alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import structlog
from starlette.applications import Starlette

from api.config.settings import Settings
from api.stores.stores import Stores
from documents import Design
from tests.support.applications import running
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.factories.users import create_user
from tests.support.graphql import execute, gid, respond, sent
from tests.support.signing_in import client_of

# a second execution would be a reader more
pytestmark = [pytest.mark.anyio, pytest.mark.executed_once]

ONE = """query ($id: ID!) { design(id: $id) {
    name version layers { layerId catalogItem { name } } owner { firstName } avatar { name } } }"""
RENAME = """mutation ($id: ID!, $name: String, $version: Int!) {
    updateDesign(input: {id: $id, name: $name, expectedVersion: $version}) { errors { code } } }"""


async def many_designs(stores: Stores, number: int) -> list[Design]:
    """Published designs, each with an owner, an avatar and two items of its own."""
    made = []
    for _ in range(number):
        user = await create_user(stores)
        avatar = await create_avatar(stores, user_id=user.id)
        layers = [layer_of((await create_catalog_item(stores)).id, id=str(index)) for index in range(2)]
        made.append(
            await create_design(stores, user_id=user.id, avatar_id=avatar.id, layers=layers, status="published")
        )
    return made


async def test_many_at_once_cost_few_statements(client: httpx.AsyncClient, app: Starlette, stores: Stores) -> None:
    designs = await many_designs(stores, 30)
    alone = [await execute(client, ONE, id=gid(design)) for design in designs]

    with sent(app) as counted:
        together = await asyncio.gather(*(execute(client, ONE, id=gid(design)) for design in designs))

    assert together == alone
    commands, statements = counted.counts
    assert commands < len(designs) / 2
    assert statements < 3 * len(designs) / 2


async def test_log_lines_say_what_went_with_others(client: httpx.AsyncClient, stores: Stores) -> None:
    designs = await many_designs(stores, 30)

    with structlog.testing.capture_logs() as logs:
        await execute(client, ONE, id=gid(designs[0]))
        await asyncio.gather(*(execute(client, ONE, id=gid(design)) for design in designs))

    alone, *together = [line for line in logs if line["event"] == "request"]
    assert (alone["mongo"], alone["sql"], "joined" in alone) == (1, 3, False)
    # what a request has not sent has gone with somebody else's
    assert sum(line["mongo"] + line["sql"] + line.get("joined", 0) for line in together) == 4 * len(designs)
    assert sum(line.get("joined", 0) for line in together) > len(designs)


@pytest.fixture
async def telling(settings: Settings, clean_stores: None) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    """An application whose answers say what was sent."""
    async with running(settings, report_cost=True) as (app, client):
        yield app, client


async def test_answers_say_what_went_with_others(telling: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = telling
    designs = await many_designs(app.state.stores, 30)

    async def statements(design: Design) -> dict[str, int]:
        found: dict[str, int] = (await respond(client, ONE, id=gid(design)))["extensions"]["statements"]
        return found

    assert await statements(designs[0]) == {"sql": 3, "mongodb": 1, "joined": 0}
    together = await asyncio.gather(*(statements(design) for design in designs))

    assert [sum(said.values()) for said in together] == [4] * len(designs)
    assert sum(said["joined"] for said in together) > len(designs)


@pytest.fixture
async def by_itself(settings: Settings, clean_stores: None) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    """An application whose reads go one by one."""
    async with running(settings, coalescing=False) as (app, client):
        yield app, client


async def test_a_setting_turns_it_off(by_itself: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = by_itself
    designs = await many_designs(app.state.stores, 10)

    with sent(app) as counted:
        await asyncio.gather(*(execute(client, ONE, id=gid(design)) for design in designs))

    assert counted.counts == (10, 30)


async def test_whoever_reads_after_a_write_sees_it(
    client: httpx.AsyncClient, elsewhere: httpx.AsyncClient, stores: Stores
) -> None:
    owner = await create_user(stores)
    design = await create_design(stores, user_id=owner.id, status="published")
    ada, done = await client_of(client, stores, owner), asyncio.Event()

    async def keep_reading(reader: httpx.AsyncClient) -> None:
        while not done.is_set():
            await execute(reader, ONE, id=gid(design))

    reading = [asyncio.create_task(keep_reading(reader)) for reader in [client, elsewhere] * 5]
    for version in range(2, 12):
        written = await execute(ada, RENAME, id=gid(design), name=f"number {version}", version=version - 1)
        assert written == {"updateDesign": {"errors": []}}
        seen = await asyncio.gather(*(execute(reader, ONE, id=gid(design)) for reader in [client, elsewhere] * 3))
        assert [(each["design"]["version"], each["design"]["name"]) for each in seen] == [
            (version, f"number {version}")
        ] * 6
    done.set()
    await asyncio.gather(*reading)
