"""Where changes come from: the log, its order, and what is between it and a process."""

from __future__ import annotations

import asyncio
import base64
import random
from collections import defaultdict
from urllib.parse import urlsplit

import orjson
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from api.config.settings import Settings
from api.ids import encode_id
from api.stores.stores import Stores
from tests.support.applications import listening, running
from tests.support.factories.catalog import create_catalog_item
from tests.support.failures.proxies import proxying, through
from tests.support.live import CHANGES, Followed, StreamEnded, followed, streamed
from tests.support.stores.pgbouncer import pgbouncer

pytestmark = pytest.mark.anyio


async def write(stores: Stores, item_id: object, price: int, *, rolls_back: bool) -> None:
    async with stores.engine.connect() as connection:
        if random.random() < 0.5:
            await connection.execute(text("SELECT pg_current_xact_id()"))
            await asyncio.sleep(0.002)
        statement = text("UPDATE catalog.catalog_items SET price = :price WHERE id = :id")
        await connection.execute(statement, {"price": price, "id": item_id})
        await asyncio.sleep(0.002)
        await (connection.rollback() if rolls_back else connection.commit())


@pytest.mark.executed_once  # they write on, so a second execution would see other prices
async def test_writers_that_race_and_roll_back_lose_nothing(port: int, stores: Stores) -> None:
    """Each item's prices come in their order, those that were rolled back never, and all the others once."""
    items = [(await create_catalog_item(stores)).id for _ in range(4)]
    committed = defaultdict[object, list[int]](list)

    async def writer(number: int) -> None:
        for each in range(20):
            item_id, rolls_back = items[(number + each) % len(items)], each % 3 == 0
            await write(stores, item_id, number * 1000 + each, rolls_back=rolls_back)
            if not rolls_back:
                committed[item_id].append(number * 1000 + each)

    async with followed(port, CHANGES) as events:
        await asyncio.gather(*(writer(number) for number in range(1, 6)))
        end = await create_catalog_item(stores, name="The end")
        told = []
        while (event := await events.next())["item"]["name"] != end.name:
            told.append(event)

    async with stores.engine.connect() as connection:
        entries = (
            await connection.execute(
                text(
                    "SELECT log_position, id, record_id, (new_values ->> 'price')::int AS price FROM audit.audit_log "
                    "WHERE operation = 'UPDATE' ORDER BY log_position"
                )
            )
        ).all()
    places = [orjson.loads(base64.b64decode(event["resumeToken"], altchars=b"-_"))[1] for event in told]
    assert places == [[entry.log_position, entry.id.hex] for entry in entries]
    assert [event["itemId"] for event in told] == [encode_id("CatalogItem", entry.record_id) for entry in entries]
    assert sorted(entry.price for entry in entries) == sorted(price for each in committed.values() for price in each)


async def test_a_store_that_was_away_loses_nothing(settings: Settings, stores: Stores) -> None:
    assert settings.postgres_url is not None
    async with proxying(urlsplit(settings.postgres_url).port or 0) as proxy:
        url = through(settings.postgres_url, proxy.port)
        async with (
            running(settings, database_url=url) as (app, _),
            listening(app) as port,
            followed(port, CHANGES) as events,
        ):
            await create_catalog_item(stores, name="Before")
            assert await name_of(events) == "Before"
            proxy.reset()
            await create_catalog_item(stores, name="While its connections are lost")
            assert await name_of(events) == "While its connections are lost"
            proxy.freeze()
            await create_catalog_item(stores, name="While it doesn't answer")
            await asyncio.sleep(0.5)
            proxy.thaw()
            assert await name_of(events) == "While it doesn't answer"


async def test_behind_a_pooler_it_is_asked(settings: Settings, stores: Stores) -> None:
    assert settings.postgres_url is not None
    with pgbouncer(settings.postgres_url) as url:
        pooled = {"database_url": SecretStr(url), "postgres_pooler": "transaction"}
        async with running(settings, **pooled) as (app, _), listening(app) as port, followed(port, CHANGES) as events:
            for name in ("One", "Two"):
                await create_catalog_item(stores, name=name)
                assert await name_of(events) == name


async def test_under_row_level_security_too(settings: Settings, stores: Stores) -> None:
    async with (
        running(settings, row_level_security=True) as (app, _),
        listening(app) as port,
        followed(port, CHANGES) as events,
    ):
        await create_catalog_item(stores, name="Walled")
        assert await name_of(events) == "Walled"


async def name_of(events: Followed) -> str:
    name: str = (await events.next())["item"]["name"]
    return name


async def test_who_is_too_far_behind_is_let_go(settings: Settings, stores: Stores) -> None:
    """Over a socket with a code of its own, over a stream with an error."""
    async with (
        running(settings, max_events_behind=2) as (app, _),
        listening(app) as port,
        followed(port, CHANGES) as events,
        streamed(port, CHANGES) as stream,
    ):
        assert (await anext(stream))["kind"] == "STARTED"
        await create_catalog_item(stores, name="First")
        assert await name_of(events) == "First"
        assert (await anext(stream))["item"]["name"] == "First"
        async with stores.engine.begin() as connection:
            many = "SELECT 'Many', 'fabric' FROM generate_series(1, 5)"
            await connection.execute(text(f"INSERT INTO catalog.catalog_items (name, type) {many}"))

        assert await events.socket.closed() == (
            4508,
            "Events are taken too slowly: subscribe again with the last resume token.",
        )
        with pytest.raises(StreamEnded) as ended:
            await anext(stream)

        assert (app.state.live.cut_off, app.state.live.sent) == (2, 4)

    assert ended.value.code == "TOO_SLOW"
