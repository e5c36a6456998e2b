"""Where changes of designs come from: each write once and in order, whoever writes, whatever comes in between."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from bson import ObjectId
from pymongo.errors import OperationFailure

from api.config.settings import Settings
from api.ids import encode_id
from api.stores.stores import Stores
from tests.live.conftest import IMAGES, READING
from tests.support.applications import listening, running
from tests.support.factories.designs import create_design, designs, insert_design, object_id
from tests.support.failures.proxies import proxying, through
from tests.support.graphql import gid
from tests.support.live import DESIGNS, Followed, followed, refusal
from tests.support.mutations.designs import changed
from tests.support.requests.sockets import socket
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

TOKEN = "authorization"
TOLD = """subscription ($after: String) {
  designsChanged(after: $after) { kind designId version resumeToken diff { fields { field after } } }
}"""

Ledger = defaultdict[str, list[tuple[int, str]]]
"""The version and the name that each acknowledged write of a design has given it, in their order."""


def rename(name: str) -> Mapping[str, Any]:
    """The update by which another program gives a design a name."""
    return {"$set": {"name": name, "updatedAt": datetime.now(UTC)}, "$inc": {"version": 1}}


async def foreign_writer(stores: Stores, ids: list[ObjectId], number: int, ledger: Ledger) -> None:
    """Writes two designs in transactions, every third of which is rolled back, and single ones in between."""
    collection, mine = designs(stores).collection, random.Random(number)
    for each in range(12):
        name = f"Writer {number}, {each}"
        first, second = mine.sample(ids, 2)
        if each % 4 == 3:
            written = await collection.find_one_and_update({"_id": first}, rename(name), return_document=True)
            assert written is not None
            ledger[encode_id("Design", first)].append((written["version"], name))
            continue
        try:
            async with stores.mongo.start_session() as session:
                await session.start_transaction()
                done = []
                for id in (first, second):
                    written = await collection.find_one_and_update(
                        {"_id": id}, rename(name), return_document=True, session=session
                    )
                    assert written is not None
                    done.append((encode_id("Design", id), written["version"]))
                    await asyncio.sleep(0.002)
                if each % 3 == 0:
                    await session.abort_transaction()
                    continue
                await session.commit_transaction()
        except OperationFailure:  # two transactions met
            continue
        for written_id, version in done:
            ledger[written_id].append((version, name))


async def own_writer(client: httpx.AsyncClient, ids: list[str], number: int, ledger: Ledger) -> None:
    """Renames designs by this API, each its own."""
    for each in range(6):
        for id in ids:
            name = f"Own {number}, {each}"
            version = len(ledger[id]) + 1
            design = await changed(client, "updateDesign", id=id, expectedVersion=version, name=name)
            ledger[id].append((design["version"], name))


async def received(events: Followed, end: str) -> dict[str, list[tuple[int, str | None]]]:
    """What is told of each design, until one with this id comes."""
    found = defaultdict[str, list[tuple[int, str | None]]](list)
    while (event := await events.next())["designId"] != end:
        assert event["kind"] == "UPDATED"
        names = (
            [field["after"] for field in event["diff"]["fields"] if field["field"] == "name"] if event["diff"] else []
        )
        found[event["designId"]].append((event["version"], names[0] if names else None))
    return found


@pytest.mark.executed_once  # they write on, so a second execution would see other versions
async def test_writers_that_race_and_roll_back_lose_nothing(
    client: httpx.AsyncClient, port: int, stores: Stores, way: str
) -> None:
    """The set of events equals the ledger of acknowledged writes: none twice, those of a design in its order."""
    admin, _ = await signed_in(client, stores, "admin")
    ada, account = await signed_in(client, stores)
    theirs = [object_id(await create_design(stores, status="published")) for _ in range(4)]
    own = [[gid(await create_design(stores, user_id=account.id)) for _ in range(2)] for _ in range(3)]
    ledger = Ledger(list)
    async with followed(port, TOLD, admin.headers[TOKEN]) as events:
        writers = [own_writer(ada, ids, number, ledger) for number, ids in enumerate(own)]
        if way != READING:  # what others write quickly is read as one write
            writers += [foreign_writer(stores, theirs, number, ledger) for number in range(4)]
        await asyncio.gather(*writers)
        end = await create_design(stores)
        found = await received(events, gid(end))

    written = {id: sorted(all_of_it) for id, all_of_it in ledger.items()}
    if way == IMAGES:
        assert written == found
    # elsewhere, nobody knows what other programs' first writes have changed
    assert {id: [version for version, _ in all_of_it] for id, all_of_it in written.items()} == {
        id: [version for version, _ in told] for id, told in found.items()
    }
    assert all(name in (None, dict(written[id])[version]) for id, told in found.items() for version, name in told)
    for ids in own:
        for id in ids:
            assert written[id] == found[id]
    assert all([version for version, _ in told] == list(range(2, len(told) + 2)) for told in found.values())


async def test_it_goes_on_after_a_break_on_another_process(
    settings: Settings, client: httpx.AsyncClient, port: int, stores: Stores, way: str
) -> None:
    """Also in the middle of a transaction's writes, while the other process is followed by others already."""
    ada, account = await signed_in(client, stores)
    ids = [gid(await create_design(stores, user_id=account.id)) for _ in range(3)]
    token, versions = ada.headers[TOKEN], []

    async def rename_all(version: int) -> None:
        for id in ids:
            await changed(ada, "updateDesign", id=id, expectedVersion=version, name=f"Version {version + 1}")

    async with running(settings) as (app, _), listening(app) as other:
        async with followed(port, TOLD, token) as events:
            await rename_all(1)
            first = await events.next()
            versions.append((first["designId"], first["version"]))
        await rename_all(2)
        async with followed(other, TOLD, token), followed(other, TOLD, token, after=first["resumeToken"]) as resumed:
            await rename_all(3)
            for _ in range(8):
                event = await resumed.next()
                versions.append((event["designId"], event["version"]))
            again = event["resumeToken"]
            async with followed(other, TOLD, token, after=first["resumeToken"]) as once_more:
                repeated = [await once_more.next() for _ in range(8)]
        await rename_all(4)
        async with followed(port, TOLD, token, after=again) as back:
            versions += [((event := await back.next())["designId"], event["version"]) for _ in range(3)]

    assert [(each["designId"], each["version"]) for each in repeated] == versions[1:9]
    assert sorted(versions) == sorted((id, version) for id in ids for version in (2, 3, 4, 5))
    for id in ids:
        assert [version for each, version in versions if each == id] == [2, 3, 4, 5]


async def test_it_goes_on_in_the_middle_of_a_transaction(port: int, stores: Stores) -> None:
    ids = [object_id(await create_design(stores, status="published")) for _ in range(4)]
    async with followed(port, TOLD) as events:
        async with stores.mongo.start_session() as session:
            await session.start_transaction()
            for id in ids:
                await designs(stores).collection.update_one({"_id": id}, rename("Together"), session=session)
            await session.commit_transaction()
        told = [await events.next() for _ in range(4)]
    end = await create_design(stores, status="published")
    for place, event in enumerate(told):
        async with followed(port, TOLD, after=event["resumeToken"]) as events:
            later = [(await events.next())["designId"] for _ in range(4 - place)]

        assert later == [*(each["designId"] for each in told[place + 1 :]), gid(end)]


async def test_it_goes_on_after_the_start_and_after_more_than_is_kept(port: int, stores: Stores, way: str) -> None:
    async with socket(port) as opened:
        await opened.begin()
        await opened.subscribe("one", TOLD)
        after = (await opened.receive())["payload"]["data"]["designsChanged"]["resumeToken"]
    now = datetime.now(UTC)
    made: dict[str, Any] = {
        "userId": "0b8f3a52-6a2e-4a55-9d3c-1f1d6c1f7a01",
        "status": "published",
        "layers": [],
        "catalogItemIds": [],
    }
    made |= {"createdAt": now, "updatedAt": now}
    many = [{**made, "_id": ObjectId(), "name": "Many", "version": number} for number in range(1, 1201)]
    for start in range(0, len(many), 300):
        await designs(stores).collection.insert_many(many[start : start + 300])

    async with followed(port, TOLD, after=after) as events:
        versions = [(await events.next())["version"] for _ in range(1200)]

    assert (versions if way != READING else sorted(versions)) == list(range(1, 1201))


async def test_a_token_that_is_too_old_has_a_code_of_its_own(settings: Settings, stores: Stores, way: str) -> None:
    async with running(settings, max_events_behind=2) as (app, _), listening(app) as port:
        async with followed(port, DESIGNS) as events:
            await create_design(stores, status="published")
            after = (await events.next())["resumeToken"]
        for _ in range(2):
            await create_design(stores)
        async with followed(port, DESIGNS, after=after):
            pass
    await create_design(stores)

    async with running(settings, max_events_behind=2) as (app, _), listening(app) as port:
        assert await refusal(port, DESIGNS, after=after) == "RESUME_TOKEN_EXPIRED"


async def test_a_store_that_was_away_loses_nothing(settings: Settings, stores: Stores, way: str) -> None:
    assert settings.mongodb_url is not None
    async with proxying(urlsplit(settings.mongodb_url).port or 0) as proxy:
        url = through(settings.mongodb_url, proxy.port)
        async with (
            running(settings, mongodb_uri=url) as (app, _),
            listening(app) as port,
            followed(port, TOLD) as events,
        ):
            for harm in (proxy.reset, proxy.freeze):
                before = await insert(stores)
                assert (await events.next())["designId"] == before
                harm()
                meanwhile = [await insert(stores) for _ in range(3)]
                await asyncio.sleep(0.5)
                proxy.thaw()
                assert [(await events.next())["designId"] for _ in range(3)] == meanwhile


async def insert(stores: Stores) -> str:
    now = datetime.now(UTC)
    id = await insert_design(stores, status="published", version=1, createdAt=now, updatedAt=now)
    return encode_id("Design", id)


async def test_one_connection_for_all_and_none_for_nobody(settings: Settings, stores: Stores) -> None:
    """However many follow, one cursor is open; whoever leaves last closes it."""
    async with running(settings) as (app, _), listening(app) as port:
        feed = app.state.live.designs
        async with followed(port, DESIGNS), followed(port, TOLD), followed(port, DESIGNS):
            assert len(feed) == 3
            reading = [task for task in asyncio.all_tasks() if task.get_name() == "live updates from MongoDB"]
            assert len(reading) == 1
        while not reading[0].done():  # noqa: ASYNC110  nothing says when a socket has been left
            await asyncio.sleep(0.01)
        assert len(feed) == 0


async def test_health_says_how_designs_are_followed(client: httpx.AsyncClient, way: str) -> None:
    checks = (await client.get("/health/database")).json()["checks"]

    assert checks["mongodb"]["liveUpdates"] == ("reading" if way == READING else "changeStream")
