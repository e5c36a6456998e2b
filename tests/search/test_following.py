"""Designs are found as they are in MongoDB, whoever writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest
from bson import ObjectId
from sqlalchemy import text

from api.config.settings import Settings
from api.designs.revision_store import mark
from api.live.change_streams import has_change_streams
from api.search import feed
from api.search.changes import changes, current_place
from api.search.feed import LEASE, LeaseLost, Place
from api.search.following import Follower
from api.search.rebuilding import rebuild
from api.stores.stores import Stores
from tests.search.conftest import SEARCH, names
from tests.search.following import change_design, copy_designs, delete_design, eventually
from tests.support.applications import running
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, designs, insert_design, object_id
from tests.support.graphql import execute

pytestmark = pytest.mark.anyio


async def found(client: httpx.AsyncClient, query: str) -> list[str]:
    return names(await execute(client, SEARCH, text=query))


async def rows(stores: Stores) -> list[Any]:
    """What search knows of designs."""
    async with stores.reads.connect() as connection:
        return list(await connection.execute(text("SELECT id, name, status FROM design.design_search ORDER BY name")))


async def known(stores: Stores) -> list[tuple[str, str]]:
    return [(row.name, row.status) for row in await rows(stores)]


async def test_a_running_server_follows(settings: Settings, clean_stores: None, stores: Stores) -> None:
    before = await create_design(stores, name="Velvet", status="published")
    async with running(settings, search_indexing=True) as (_, client):
        search = partial(found, client)
        await eventually(partial(search, "velvet"), ["Velvet"])
        inserted = await insert_design(stores, name="Tulle", status="published", version=1, updatedAt=datetime.now(UTC))
        await eventually(partial(search, "tulle"), ["Tulle"])
        await change_design(stores, inserted, name="Satin")
        await eventually(partial(search, "satin"), ["Satin"])
        assert await search("tulle") == []
        await delete_design(stores, inserted)
        await eventually(partial(search, "satin"), [])
        await change_design(stores, object_id(before), status="draft")
        await eventually(partial(search, "velvet"), [])
        # a node that may not be read is null before search knows of the change
        await eventually(partial(known, stores), [("Velvet", "draft")])


async def test_another_takes_over_and_goes_on_where_the_first_was(
    settings: Settings, clean_stores: None, stores: Stores
) -> None:
    async with running(settings, search_indexing=True) as (_, client):
        await create_design(stores, name="Velvet", status="published")
        await eventually(partial(found, client, "velvet"), ["Velvet"])
    # written while nobody follows
    gone = await create_design(stores, name="Tulle", status="published")
    await create_design(stores, name="Satin", status="published")
    await designs(stores).collection.delete_one({"_id": object_id(gone)})
    first, second = Follower(stores), Follower(stores)
    place = await feed.take(stores.engine, first.name)
    assert place is not None
    assert place.copied
    assert await feed.take(stores.engine, second.name) is None
    async with stores.engine.begin() as connection:  # the first one dies, and time passes
        await connection.execute(text("UPDATE design.search_feed SET held_until = now() - interval '1 s'"))
    place = await feed.take(stores.engine, second.name)
    assert place is not None
    streams = await has_change_streams(stores.database)
    async for each in changes(stores.database, place, streams=streams):
        await second.take_over(each)
        if each.all_known:
            break
    assert [row.name for row in await rows(stores)] == ["Satin", "Velvet"]
    # whoever was slow writes nothing any more
    with pytest.raises(LeaseLost):
        await first.take_over(each)


async def test_a_batch_and_its_place_are_written_together(clean_stores: None, stores: Stores) -> None:
    follower = Follower(stores)
    assert await feed.take(stores.engine, follower.name) is not None
    place = await follower.copy(streams=await has_change_streams(stores.database))
    await create_design(stores, name="Velvet")
    async with stores.engine.begin() as connection:
        await connection.execute(text("UPDATE design.search_feed SET holder = 'somebody else'"))
    async for each in changes(stores.database, place, streams=await has_change_streams(stores.database)):
        if each.keys:
            break
    with pytest.raises(LeaseLost):
        await follower.take_over(each)
    assert await rows(stores) == []


async def test_without_change_streams_what_is_newer_is_read(
    clean_stores: None, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.search.changes.MOST", 2)
    await create_design(stores, name="Before")
    follower = Follower(stores)
    assert await feed.take(stores.engine, follower.name) is not None
    place = await follower.copy(streams=False)
    assert place.token is None
    assert place.position is not None
    for number in range(5):
        await create_design(stores, name=f"After {number}")
    async for each in changes(stores.database, place, streams=False):
        assert len(each.keys) <= 2
        await follower.take_over(each)
        if each.all_known:
            break
    assert [row.name for row in await rows(stores)] == [*(f"After {number}" for number in range(5)), "Before"]


async def test_without_change_streams_designs_go_with_their_owner(clean_stores: None, stores: Stores) -> None:
    """Deleting them leaves the time of their last change as it was. It is read for a while, and then no more."""
    design = await create_design(stores, name="Gone", updated_at=datetime(2026, 1, 1, tzinfo=UTC))
    follower = Follower(stores)
    assert await feed.take(stores.engine, follower.name) is not None
    place = await follower.copy(streams=False)
    stored = await designs(stores).collection.find_one({"_id": design.id})
    assert stored is not None
    by = {"requestId": "the deletion of their owner"}
    assert await mark(stores, [stored], by, deleted_at=datetime.now(UTC)) == 1

    seen: list[ObjectId] = []
    async for each in changes(stores.database, place, streams=False):
        await follower.take_over(each)
        seen += each.keys
        if each.all_known:
            break

    assert seen == [design.id]
    assert await rows(stores) == []


async def test_a_copy_forgets_what_is_gone(clean_stores: None, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.search.following.MOST", 2)
    ids = [object_id(await create_design(stores, name=f"Design {number}")) for number in range(5)]
    await copy_designs(stores)
    assert len(await rows(stores)) == 5
    await designs(stores).collection.delete_many({"_id": {"$in": [ids[0], ids[2], ids[4]]}})
    await copy_designs(stores)
    assert [row.id for row in await rows(stores)] == [str(ids[1]), str(ids[3])]
    await designs(stores).collection.delete_many({})
    await copy_designs(stores)
    assert await rows(stores) == []


async def test_a_place_that_is_gone_is_a_new_copy(settings: Settings, clean_stores: None, stores: Stores) -> None:
    await copy_designs(stores)
    async with stores.engine.begin() as connection:
        token = '{"_data": "826000000000000000000000000000"}'
        await connection.execute(text("UPDATE design.search_feed SET resume_token = :token"), {"token": token})
    await create_design(stores, name="Velvet", status="published")
    async with running(settings, search_indexing=True) as (_, client):
        await eventually(partial(found, client, "velvet"), ["Velvet"])


@pytest.mark.parametrize(
    "odd",
    [
        {"name": None},
        {"name": 7, "status": ["published"], "version": 1.5},
        {"name": "Odd\0", "metadata": "none"},
        {"name": "Odd", "metadata": {"tags": "odd", "description": {"a": 1}}},
        {"name": "Odd", "metadata": {"tags": [1, None, "fine"]}, "updatedAt": "yesterday", "userId": 3},
        {"name": "x" * 60_000, "version": 2**40},
    ],
)
async def test_odd_designs_stop_nothing(clean_stores: None, stores: Stores, odd: dict[str, Any]) -> None:
    await insert_design(stores, **odd)
    await create_design(stores, name="Sound")
    await copy_designs(stores)
    assert len(await rows(stores)) == 2


async def test_a_lease_ends_by_itself(clean_stores: None, stores: Stores) -> None:
    assert await feed.take(stores.engine, "one") == Place()
    async with stores.reads.connect() as connection:
        left = await connection.scalar(text("SELECT extract(epoch FROM held_until - now()) FROM design.search_feed"))
    assert left is not None
    assert 0 < float(left) <= LEASE
    await feed.release(stores.engine, "one")
    assert await feed.take(stores.engine, "two") == Place()


async def test_the_place_after_everything(clean_stores: None, stores: Stores) -> None:
    if not await has_change_streams(stores.database):
        pytest.skip("this server has no change streams")
    await create_design(stores, name="Before")
    place = await current_place(stores.database, streams=True)
    after = object_id(await create_design(stores, name="After"))
    seen: list[ObjectId] = []
    async for each in changes(stores.database, place, streams=True):
        seen += each.keys
        if each.keys:
            break
    assert seen == [after]


async def test_rebuilding(settings: Settings, clean_stores: None, stores: Stores) -> None:
    await create_catalog_item(stores, name="Linen")
    await create_design(stores, name="Velvet", status="published")
    async with running(settings, search_indexing=True) as (_, client):
        await eventually(partial(found, client, "velvet"), ["Velvet"])
        for table in ("design.design_search", "catalog.item_search", "shared.search_spellings"):
            async with stores.engine.begin() as connection:
                await connection.execute(text(f"DELETE FROM {table}"))
        told: list[tuple[str, int, int]] = []
        assert await rebuild(stores, "english", lambda *progress: told.append(progress)) == (1, 1)
        assert told == [("catalog items", 1, 1), ("designs", 1, 1), ("designs", 1, 1)]
        for word, name in (("velvet", "Velvet"), ("linen", "Linen"), ("lnien", "Linen"), ("vevlet", "Velvet")):
            assert await found(client, word) == [name]
        # whoever followed goes on
        await create_design(stores, name="Satin", status="published")
        await eventually(partial(found, client, "satin"), ["Satin"])
        status = await feed.status(stores.engine)
        assert status is not None
        assert status.is_followed
        assert status.behind is not None
        assert 0 <= status.behind < 20


async def test_status_before_anything_was_copied(clean_stores: None, stores: Stores) -> None:
    assert await feed.status(stores.engine) is None
