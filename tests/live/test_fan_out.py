"""Many subscriptions of one question are handed each event together, as long as each of them can be."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from api.config.settings import Settings
from api.http.subscriptions.subscription import Subscription
from api.stores.stores import Stores
from tests.support.applications import listening, running
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.users import create_user
from tests.support.live import Followed, followed, streamed
from tests.support.requests.connections import until
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

TOKEN = "authorization"
WRITES = 80
PRICES = """subscription ($after: String, $filter: CatalogItemFilter) {
  catalogItemsChanged(after: $after, filter: $filter) { kind resumeToken item { name price } }
}"""


class Streamed:
    """A stream of events, read as a socket is."""

    def __init__(self, events: AsyncIterator[dict[str, Any]]) -> None:
        self._events = events

    async def next(self) -> dict[str, Any]:
        return await anext(self._events)


@contextlib.asynccontextmanager
async def begun_stream(port: int, query: str, token: str | None = None) -> AsyncIterator[Streamed]:
    async with streamed(port, query, token) as events:
        assert (await anext(events))["kind"] == "STARTED"
        yield Streamed(events)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many results went to clients together with others, and how many each by itself."""
    found = Counter[str]()
    take, charge = Subscription.take, Subscription._charge

    def taken(self: Subscription, content: bytes) -> bool:
        done = take(self, content)
        found["together"] += done
        return done

    async def charged(self: Subscription) -> None:
        found["alone"] += 1
        await charge(self)

    monkeypatch.setattr(Subscription, "take", taken)
    monkeypatch.setattr(Subscription, "_charge", charged)
    return found


async def until_the_end(events: Followed | Streamed) -> list[int]:
    prices = []
    while (event := await events.next())["item"]["name"] != "The end":
        prices.append(event["item"]["price"])
    return prices


async def test_whoever_goes_on_alone_for_a_while_misses_nothing(
    app: Starlette, client: httpx.AsyncClient, port: int, stores: Stores, ways: Counter[str]
) -> None:
    """Sessions are forgotten at any moment, so that their sockets have to look them up before they are told; others
    come, resume and go meanwhile, and some changes are nothing to any of them."""
    sessions = app.state.auth.sessions
    async with contextlib.AsyncExitStack() as stack:
        all_events: list[Followed | Streamed] = []
        for role in ("user", "user", "user", "premium", "premium", "brand", None):
            token = (await signed_in(client, stores, role))[0].headers[TOKEN] if role else None
            if len(all_events) % 3 == 2:
                all_events.append(await stack.enter_async_context(begun_stream(port, PRICES, token)))
            else:
                all_events.append(await stack.enter_async_context(followed(port, PRICES, token)))
        known = list(sessions._known)
        resumed: list[list[int]] = []

        async def come_and_go(token: str) -> None:
            async with followed(port, PRICES, after=token) as events:
                resumed.append(await until_the_end(events))

        async with asyncio.TaskGroup() as tasks:
            readers = [tasks.create_task(until_the_end(events)) for events in all_events]
            async with followed(port, PRICES) as passing:
                for price in range(1, WRITES + 1):
                    await create_catalog_item(stores, price=price)
                    for _ in range(random.randrange(3)):
                        sessions.forget(random.choice(known))
                    if price % 10 == 0:
                        await create_user(stores)  # a change of another table
                    if price == WRITES // 2:
                        token = (await passing.next())["resumeToken"]
                        tasks.create_task(come_and_go(token))
            await create_catalog_item(stores, name="The end")

    written = list(range(1, WRITES + 1))
    assert [reader.result() for reader in readers] == [written] * len(readers)
    assert resumed == [written[1:]]
    assert ways["together"]
    assert ways["alone"]


async def test_sockets_and_streams_are_told_together(port: int, stores: Stores, ways: Counter[str]) -> None:
    async with followed(port, PRICES) as socket, begun_stream(port, PRICES) as one, begun_stream(port, PRICES) as two:
        for price in range(1, 6):
            await create_catalog_item(stores, price=price)
            assert [(await each.next())["item"]["price"] for each in (socket, one, two)] == [price] * 3

    assert ways == {"together": 15, "alone": 3}  # alone is how they began


@pytest.mark.parametrize("transport", ["socket", "stream"])
async def test_who_does_not_read_keeps_nobody_waiting_and_misses_nothing(
    settings: Settings, stores: Stores, ways: Counter[str], transport: str
) -> None:
    fields = " ".join(f"field{number}: description" for number in range(50))
    large = f"subscription {{ catalogItemsChanged {{ kind item {{ name price {fields} }} }} }}"
    async with (
        running(settings, max_socket_queue=1000) as (app, _),
        listening(app) as port,
        followed(port, large) as quick,
        begun_stream(port, large) if transport == "stream" else followed(port, large) as slow,
    ):
        price = 0
        while ways.total() == 2 * price + 2:  # what is on its way in the kernel has no end that a test knows
            price += 1
            await create_catalog_item(stores, price=price, description="x" * 10_000)
            assert (await quick.next())["item"]["price"] == price
        await create_catalog_item(stores, price=price + 1)
        assert (await quick.next())["item"]["price"] == price + 1

        written = list(range(1, price + 2))
        assert [(await slow.next())["item"]["price"] for _ in written] == written
        for _ in range(20):
            alone = ways["alone"]
            await create_catalog_item(stores, price=0)
            assert [(await events.next())["item"]["price"] for events in (quick, slow)] == [0, 0]
            if ways["alone"] == alone:
                break
        assert ways["alone"] == alone  # it is told together with the others again


async def test_who_has_no_points_left_is_told_once_there_are_some(
    settings: Settings, client: httpx.AsyncClient, stores: Stores
) -> None:
    """And keeps nobody waiting who has some."""
    limits = {"rate_limit_user": "60/second", "rate_limit_address": "1000000/minute"}
    async with running(settings, **limits) as (app, mine), listening(app) as port:
        token = (await signed_in(mine, stores))[0].headers[TOKEN]
        async with followed(port, PRICES) as free, followed(port, PRICES, token) as limited:
            for price in range(1, 61):
                await create_catalog_item(stores, price=price)
            assert [(await free.next())["item"]["price"] for _ in range(60)] == list(range(1, 61))
            assert [(await limited.next())["item"]["price"] for _ in range(60)] == list(range(1, 61))


async def test_many_changes_of_other_tables_put_nobody_behind(
    settings: Settings, client: httpx.AsyncClient, stores: Stores, app: Starlette
) -> None:
    """Also not who has to go on by itself right after them."""
    async with running(settings, max_events_behind=20) as (mine_app, mine), listening(mine_app) as port:
        token = (await signed_in(mine, stores))[0].headers[TOKEN]
        async with followed(port, PRICES, token) as events, followed(port, PRICES, token) as others:
            await create_catalog_item(stores, price=1)
            assert [(await each.next())["item"]["price"] for each in (events, others)] == [1, 1]
            feed = mine_app.state.live.rows
            for number in range(30):
                read = feed._number
                async with stores.engine.begin() as connection:
                    await connection.execute(text("UPDATE shared.users SET first_name = :name"), {"name": str(number)})
                    await connection.execute(text("SELECT pg_notify('fashion_wallet_changes', '')"))
                await until(lambda read=read: feed._number > read)
            sessions = mine_app.state.auth.sessions
            for session_id in list(sessions._known):
                sessions.forget(session_id)
            await create_catalog_item(stores, price=2)
            assert [(await each.next())["item"]["price"] for each in (events, others)] == [2, 2]
