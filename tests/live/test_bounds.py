"""How many subscriptions there may be on a socket, and how many events of one within a second."""

from __future__ import annotations

import time
from typing import Any

import pytest

from api.config.settings import Settings
from api.stores.stores import Stores
from models import CatalogItem
from tests.support.applications import listening, running
from tests.support.live import StreamEnded, followed, streamed
from tests.support.requests.connections import until
from tests.support.requests.sockets import socket

pytestmark = pytest.mark.anyio

PRICES = "subscription { catalogItemsChanged { kind item { price } } }"


async def create_items(stores: Stores, count: int) -> list[int]:
    """The prices of so many items, which all come to be at once."""
    prices = list(range(1, count + 1))
    async with stores.sessions.begin() as transaction:
        for price in prices:
            transaction.add(CatalogItem(name="Silk", type="fabric", price=price))
            await transaction.flush()
    return prices


async def test_a_socket_has_only_so_many(settings: Settings, stores: Stores) -> None:
    """Those that are open don't count among the operations under way, and completing one makes room."""
    limits = {"max_subscriptions_per_socket": 2, "max_socket_operations": 1}
    async with running(settings, **limits) as (app, _), listening(app) as port, socket(port) as one:
        await one.begin()
        for id in ("first", "second"):
            await one.subscribe(id, PRICES)
            assert (await one.receive())["id"] == id

        await one.subscribe("third", PRICES)

        refused = await one.receive()
        assert (refused["id"], refused["type"]) == ("third", "error")
        assert refused["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert "MAX_SUBSCRIPTIONS_PER_SOCKET" in refused["payload"][0]["message"]
        assert await one.execute("{ __typename }") == {"__typename": "Query"}
        async with followed(port, PRICES), streamed(port, PRICES) as events:
            assert (await anext(events))["kind"] == "STARTED"
            assert len(app.state.live) == 4
        await one.send({"type": "complete", "id": "first"})
        await until(lambda: len(app.state.live) == 1)
        await one.subscribe("third", PRICES)
        assert (await one.receive())["type"] == "next"


async def test_events_beyond_so_many_a_second_wait_for_the_next(settings: Settings, stores: Stores) -> None:
    """None is left out, over a socket or as a stream; two sockets are told together at first."""
    limits: dict[str, Any] = {"max_events_per_second": 5}
    async with running(settings, **limits) as (app, _), listening(app) as port:
        began = time.monotonic()
        async with followed(port, PRICES) as one, followed(port, PRICES) as two, streamed(port, PRICES) as stream:
            assert (await anext(stream))["kind"] == "STARTED"
            prices = await create_items(stores, 10)

            assert [(await one.next())["item"]["price"] for _ in prices] == prices
            assert [(await two.next())["item"]["price"] for _ in prices] == prices
            assert time.monotonic() - began >= 2  # with the first event, there were eleven
            assert [(await anext(stream))["item"]["price"] for _ in prices] == prices


async def test_who_may_be_sent_less_than_there_is_may_resume(settings: Settings, stores: Stores) -> None:
    limits: dict[str, Any] = {"max_events_per_second": 1, "max_events_behind": 3, "metrics": True}
    async with (
        running(settings, **limits) as (app, client),
        listening(app) as port,
        followed(port, PRICES) as events,
        streamed(port, PRICES) as stream,
    ):
        assert (await anext(stream))["kind"] == "STARTED"
        await create_items(stores, 10)

        assert (await events.socket.closed())[0] == 4508
        with pytest.raises(StreamEnded, match="TOO_SLOW"):
            [event async for event in stream]
        assert "\nfashion_wallet_subscriptions_cut_off_total 2.0\n" in (await client.get("/metrics")).text
