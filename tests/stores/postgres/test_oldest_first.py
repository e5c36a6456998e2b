"""The queue of the pool: who gets the connection that comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.util import greenlet_spawn
from sqlalchemy.util.queue import Empty, Full

from api.config.settings import Settings
from api.log import Cost, current_cost
from api.stores.postgres.oldest_first import OldestFirst
from api.stores.stores import open_stores

pytestmark = pytest.mark.anyio


async def began_at(moment: float | None, work: Callable[[], Awaitable[object]]) -> object:
    """What a request does that began at this moment; None: what no request asks for."""
    current_cost.set(None if moment is None else Cost(began=moment))
    return await work()


def waiting(queue: OldestFirst[str], moment: float | None, seconds: float | None = None) -> asyncio.Task[object]:
    return asyncio.create_task(began_at(moment, lambda: greenlet_spawn(queue.get, True, seconds)))


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_oldest_request_goes_first_and_what_no_request_asks_for_before_it() -> None:
    queue = OldestFirst[str](4)
    others = [waiting(queue, moment) for moment in (30.0, 10.0, 20.0, 10.0, None)]
    await turns()
    for name in ("a", "b", "c", "d", "e"):
        queue.put(name, False)

    assert await asyncio.gather(*others) == ["e", "b", "d", "c", "a"]
    assert queue.empty()


async def test_who_comes_by_takes_nothing_from_those_who_wait() -> None:
    queue = OldestFirst[str](4)
    first = waiting(queue, 10.0)
    await turns()
    queue.put("a", False)
    with pytest.raises(Empty):
        queue.get_nowait()
    assert await first == "a"


async def test_who_leaves_leaves_what_was_for_them() -> None:
    """Also where it is given at the same moment: to the next, and where nobody waits, it is idle."""
    queue = OldestFirst[str](1)
    first, second, third = (waiting(queue, moment) for moment in (1.0, 2.0, 3.0))
    await turns()
    first.cancel()
    await turns()
    queue.put("a", False)
    second.cancel()
    assert await third == "a"
    assert second.cancelled()

    last = waiting(queue, 4.0)
    await turns()
    queue.put("b", False)
    last.cancel()
    await turns()
    assert last.cancelled()
    assert queue.get_nowait() == "b"


async def test_it_is_waited_for_as_long_as_it_says() -> None:
    queue = OldestFirst[str](1)
    with pytest.raises(Empty):
        await waiting(queue, 1.0, 0.01)
    queue.put("a", False)
    assert (queue.qsize(), queue.full()) == (1, True)
    with pytest.raises(Full):
        queue.put("b", False)
    assert await waiting(queue, 1.0, 0.01) == "a"


async def test_the_last_that_came_back_goes_first_where_that_is_asked_for() -> None:
    for lifo, expected in ((True, ["b", "a"]), (False, ["a", "b"])):
        queue = OldestFirst[str](2, use_lifo=lifo)
        queue.put("a")
        queue.put("b")
        assert [queue.get_nowait(), queue.get(False)] == expected


async def test_a_request_that_asks_again_goes_before_those_that_came_later(settings: Settings) -> None:
    """A pool of one: the first request asks three times, and the others once. It never waits for two."""
    done: list[str] = []

    async with open_stores(settings.model_copy(update={"postgres_pool_size": 1, "postgres_max_overflow": 0})) as stores:

        async def asking(name: str, times: int) -> None:
            for _ in range(times):
                async with stores.engine.connect() as connection:
                    await connection.execute(text("SELECT pg_sleep(0.01)"))
                done.append(name)

        async with stores.engine.connect():
            requests = [
                asyncio.create_task(began_at(float(moment), lambda each=each: asking(*each)))  # type: ignore[misc]
                for moment, each in enumerate((("first", 3), ("second", 1), ("third", 1), ("fourth", 1)))
            ]
            await turns()
            assert len(stores.breakers[0].line) == 4
        await asyncio.gather(*requests)

    assert done == ["first", "second", "first", "third", "first", "fourth"]
