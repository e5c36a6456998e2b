"""The breaker itself, before a listener of the test's own in place of a store: when it opens, when it does not, and
whom it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import anyio
import pytest

from api.errors import StoreUnavailable
from api.stores.breakers.breaker import Breaker, bypassed
from api.stores.breakers.limits import Limits

pytestmark = pytest.mark.anyio

LONG = 60.0
LIMITS = Limits(failures=3, window=LONG, patience=LONG, probe_timeout=LONG, probe_interval=0.01)


class Store:
    """Something on a port that is up or down; a probe is a connection to it."""

    def __init__(self) -> None:
        self.server: asyncio.Server | None = None
        self.port = 0
        self.probes = 0

    async def up(self) -> None:
        self.server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    def down(self) -> None:
        assert self.server is not None
        self.server.close()

    async def probe(self) -> None:
        self.probes += 1
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
async def store(anyio_backend: str) -> AsyncIterator[Store]:
    store = Store()
    await store.up()
    yield store
    store.down()


def breaker_of(store: Store, limits: Limits = LIMITS) -> Breaker:
    breaker = Breaker("Shop", limits, lambda error: isinstance(error, OSError))
    breaker.probe = store.probe
    return breaker


def fail(breaker: Breaker, error: Exception, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(type(error)), breaker.call():
            raise error


async def until_closed(breaker: Breaker) -> None:
    with anyio.fail_after(30):
        while breaker.is_open:
            await anyio.lowlevel.checkpoint()


async def test_it_opens_after_failures_in_a_row(store: Store) -> None:
    breaker = breaker_of(store)
    fail(breaker, ConnectionRefusedError(), 2)
    with breaker.call():
        pass  # an answer: they are no longer in a row
    fail(breaker, ConnectionRefusedError(), 2)
    assert not breaker.is_open
    fail(breaker, ConnectionRefusedError())
    assert breaker.is_open


async def test_what_the_store_answers_is_no_failure_whatever_it_says(store: Store) -> None:
    breaker = breaker_of(store)
    fail(breaker, ConnectionRefusedError(), 2)
    fail(breaker, ValueError("no such column"))
    fail(breaker, ConnectionRefusedError(), 2)
    assert not breaker.is_open


async def test_an_error_that_says_nothing_counts_for_nothing(store: Store) -> None:
    breaker = Breaker("Shop", LIMITS, lambda error: None if isinstance(error, EOFError) else True)
    fail(breaker, EOFError(), 9)
    assert not breaker.is_open
    fail(breaker, ConnectionRefusedError(), 2)
    fail(breaker, EOFError())
    fail(breaker, ConnectionRefusedError())
    assert breaker.is_open


async def test_failures_that_lie_far_apart_are_not_in_a_row(store: Store) -> None:
    breaker = breaker_of(store, Limits(failures=2, window=1e-9, patience=LONG, probe_timeout=LONG, probe_interval=LONG))
    fail(breaker, ConnectionRefusedError(), 10)
    assert not breaker.is_open


async def test_a_client_that_leaves_is_no_failure(store: Store) -> None:
    breaker = breaker_of(store)
    for _ in range(5):
        with pytest.raises(asyncio.CancelledError), breaker.call():
            raise asyncio.CancelledError
    assert not breaker.is_open


async def test_open_it_refuses_everybody_but_health_checks(store: Store) -> None:
    breaker = breaker_of(store)
    fail(breaker, ConnectionRefusedError(), 3)
    with pytest.raises(StoreUnavailable) as refused, breaker.call():
        pytest.fail("it was called")
    with pytest.raises(StoreUnavailable):
        breaker.check()
    with bypassed():
        breaker.check()
        with breaker.call():
            pass
    assert str(refused.value) == "Shop is not available; try again later."
    assert not breaker.is_open  # the check that got through closes it


async def test_a_probe_closes_it(store: Store) -> None:
    breaker = breaker_of(store)
    store.down()
    async with breaker.watching():
        fail(breaker, ConnectionRefusedError(), 3)
        with anyio.fail_after(30):
            while store.probes < 3:
                await anyio.lowlevel.checkpoint()
        assert breaker.is_open
        await store.up()
        await until_closed(breaker)
    with breaker.call():
        pass


async def test_silence_alone_opens_nothing_while_the_store_lives(store: Store) -> None:
    breaker = breaker_of(store, Limits(failures=1, window=LONG, patience=0.02, probe_timeout=LONG, probe_interval=LONG))
    async with breaker.watching():
        with breaker.call(), anyio.fail_after(30):
            while store.probes < 3:  # asked again and again
                await anyio.lowlevel.checkpoint()
        assert not breaker.is_open


async def test_silence_of_a_dead_store_ends_what_waits_for_it(store: Store) -> None:
    breaker = breaker_of(store, Limits(failures=9, window=LONG, patience=0.02, probe_timeout=LONG, probe_interval=0.01))
    hung_up = asyncio.Event()
    breaker.hang_up = hung_up.set

    async def wait() -> None:
        with breaker.call():
            await asyncio.Event().wait()

    store.down()
    async with breaker.watching():
        waiting = [asyncio.create_task(wait()) for _ in range(3)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [StoreUnavailable] * 3
        assert breaker.is_open
        assert hung_up.is_set()
        await store.up()
        await until_closed(breaker)


async def test_who_waits_for_nothing_is_not_silent(store: Store) -> None:
    breaker = breaker_of(store, Limits(failures=1, window=LONG, patience=0.01, probe_timeout=LONG, probe_interval=LONG))
    store.down()
    async with breaker.watching():
        for _ in range(5):
            heard = breaker.last_heard
            with anyio.fail_after(30):
                while breaker.last_heard == heard:  # it looks, and finds nobody waiting
                    await anyio.lowlevel.checkpoint()
    assert store.probes == 0
    assert not breaker.is_open


async def test_a_task_that_is_cancelled_and_given_up_at_once_stays_cancelled(store: Store) -> None:
    breaker = breaker_of(store)
    begun = asyncio.Event()

    async def wait() -> None:
        with breaker.call():
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await begun.wait()
    breaker._end_calls()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_health_check_is_not_ended_with_the_others(store: Store) -> None:
    breaker = breaker_of(store)
    answered = asyncio.Event()

    async def check() -> None:
        with bypassed(), breaker.call():
            await answered.wait()

    async def read() -> None:
        with breaker.call():
            await answered.wait()

    checking, reading = asyncio.create_task(check()), asyncio.create_task(read())
    while len(breaker._calls) < 2:
        await anyio.lowlevel.checkpoint()
    breaker._end_calls()
    with pytest.raises(StoreUnavailable):
        await reading
    answered.set()
    await checking
