"""Reads that go together, when one of them fails, leaves or is late: what becomes of the others."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import traceback
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import pytest

from api.errors import StatementTimedOut, StoreUnavailable
from api.log import Cost, current_cost
from api.stores.coalescing import AT_ONCE, Coalescer
from tests.support.failures.stepping import Cancellation
from tests.support.stores.answering import Store, busy, reader, turns

pytestmark = pytest.mark.anyio


async def test_whoever_leaves_takes_nobody_along() -> None:
    coalescer, store = Coalescer(), Store()
    tasks = [reader(coalescer, store, number) for number in range(AT_ONCE)]
    await turns()
    waiting = [reader(coalescer, store, number) for number in (10, 11, 12)]
    await turns()
    waiting[0].cancel()  # before it was sent: nobody asks for its key
    await turns()
    await store.answer(0)
    assert store.sent[-1] == [11, 12]
    waiting[1].cancel()
    await turns()
    assert store.cancelled == []
    await store.answer(2)

    assert await waiting[2] == ["12"]
    assert [task.cancelled() for task in waiting] == [True, True, False]
    tasks[1].cancel()
    await turns()
    assert store.cancelled == [[1]]
    assert coalescer._kinds == {}


async def test_a_read_that_nobody_waits_for_ends() -> None:
    coalescer, store = Coalescer(), Store()
    tasks = [reader(coalescer, store, number) for number in range(AT_ONCE)]
    await turns()
    waiting = [reader(coalescer, store, number) for number in (10, 11)]
    await turns()
    await store.answer(0)

    for task in waiting:
        task.cancel()
    await turns()

    assert store.cancelled == [[10, 11]]
    await store.answer(1)
    assert [await task for task in tasks] == [["0"], ["1"]]
    assert coalescer._kinds == {}


async def test_a_failure_is_of_those_whose_keys_cause_it() -> None:
    coalescer, store = Coalescer(), Store()
    store.bad = {11: ValueError("bad key")}
    tasks = [reader(coalescer, store, number) for number in range(AT_ONCE)]
    await turns()
    waiting = [reader(coalescer, store, *keys) for keys in ((10,), (11,), (10, 12))]
    await turns()
    await store.answer(0)
    await store.answer(2)
    assert store.sent[3:] == [[10], [11], [10, 12]]  # each for itself, once
    await store.answer(1, 3, 4, 5)

    assert await waiting[0] == ["10"]
    with pytest.raises(ValueError, match=r"^bad key$"):
        await waiting[1]
    assert await waiting[2] == ["10", "12"]
    assert [await task for task in tasks] == [["0"], ["1"]]


@pytest.mark.parametrize(("error", "again"), [(StoreUnavailable, False), (StatementTimedOut, True)])
async def test_a_store_that_is_down_is_not_asked_again(error: type[StoreUnavailable], again: bool) -> None:
    coalescer, store = Coalescer(), Store()
    store.bad = {11: error("MongoDB")}
    tasks = [reader(coalescer, store, number) for number in range(AT_ONCE)]
    await turns()
    waiting = [reader(coalescer, store, number) for number in (10, 11)]
    await turns()
    await store.answer(0)
    await store.answer(2)

    assert store.sent[3:] == ([[10], [11]] if again else [])
    await store.answer(1, *((3, 4) if again else ()))
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == ([list, error] if again else [error, error])
    assert [await task for task in tasks] == [["0"], ["1"]]


async def test_all_may_leave_a_flight_before_it_begins() -> None:
    coalescer, store = Coalescer(), Store()
    ahead = await busy(coalescer, store)
    waiting = [reader(coalescer, store, number) for number in (10, 11)]
    await turns()
    store._answers[0].set_result(None)
    for task in waiting:
        task.cancel()  # they are still there when it is made
    await turns()
    assert store.sent == [[0], [1]]
    assert [task.cancelled() for task in waiting] == [True, True]

    after = [reader(coalescer, store, number) for number in (12, 13)]
    await turns()
    assert store.sent == [[0], [1], [12]]  # as many are under way as there seem to be
    await store.answer(1)
    await store.answer(2, 3)

    assert [await task for task in (*ahead, *after)] == [["0"], ["1"], ["12"], ["13"]]
    assert coalescer._kinds == {}


async def test_whoever_asks_again_after_a_failure_may_leave() -> None:
    coalescer, store = Coalescer(), Store()
    store.bad = {11: ValueError("bad key")}
    ahead = await busy(coalescer, store)
    waiting = [reader(coalescer, store, number) for number in (10, 11, 12)]
    await turns()
    await store.answer(0)
    waiting[1].cancel()  # whose key it is
    await turns()
    await store.answer(2)
    assert store.sent[3:] == [[10], [12]]
    waiting[0].cancel()
    await turns()
    assert store.cancelled == [[10]]
    late = reader(coalescer, store, 13)
    await turns()
    assert store.sent[5:] == []  # those who ask again are under way
    await store.answer(4)
    await store.answer(1, 5)

    assert await waiting[2] == ["12"]
    assert [await task for task in (*ahead, late)] == [["0"], ["1"], ["13"]]
    assert coalescer._kinds == {}


async def test_a_deadline_is_that_of_whoever_has_it() -> None:
    coalescer, store = Coalescer(), Store()
    ahead = await busy(coalescer, store)
    told: list[str] = []

    async def hurried(number: int, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                told.extend(await coalescer.read("k", [number], store.read))
        except TimeoutError:
            told.append(f"{number} is late")

    first, second = (asyncio.create_task(hurried(*given)) for given in ((10, 0.0), (11, 60.0)))
    patient = reader(coalescer, store, 12)
    await store.answer(0)
    await first
    assert told == ["10 is late"]  # though what it asked for is still under way
    await store.answer(1, 2)
    await second

    assert told == ["10 is late", "11"]
    assert await patient == ["12"]
    assert [await task for task in ahead] == [["0"], ["1"]]


@pytest.mark.parametrize("late", [False, True])
async def test_whoever_is_cancelled_at_any_step_takes_nobody_along(late: bool) -> None:
    """Before it is sent, while it is under way, while it asks again; and when the answer has just come."""
    for fails in (False, True):
        for place in itertools.count(1):
            coalescer, store = Coalescer(), Store()
            store.bad = {11: ValueError("bad key")} if fails else {}
            ahead = await busy(coalescer, store)
            cancellation = Cancellation(place, late=late)
            leaving = cancellation.start(coalescer.read("k", (10,), store.read))
            staying = [reader(coalescer, store, number) for number in (11, 12)]
            await turns()
            for number in range(20):
                if number < len(store.sent) and not store._answers[number].done():
                    await store.answer(number)

            results = await asyncio.gather(leaving, *staying, *ahead, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError) or results[0] == ["10"]
            assert isinstance(results[1], ValueError) if fails else results[1] == ["11"]
            assert results[2:] == [["12"], ["0"], ["1"]]
            assert coalescer._kinds == {}
            if not cancellation.reached:
                break


async def test_a_flight_has_nothing_of_those_who_joined_it() -> None:
    asker: ContextVar[str] = ContextVar("asker")
    coalescer, store, senders = Coalescer(), Store(), []

    async def read(keys: Sequence[Any]) -> Sequence[str]:
        senders.append(asker.get())
        asker.set("the flight")
        return await store.read(keys)

    async def request(name: str, key: int) -> str:
        asker.set(name)
        await coalescer.read("k", [key], read)
        return asker.get()

    tasks = [asyncio.create_task(request(f"request {number}", number)) for number in range(AT_ONCE + 3)]
    await turns()
    for number in range(3):
        await store.answer(number)

    assert senders == ["request 0", "request 1", "request 2"]
    # those who have sent for themselves do so in their own context
    assert [await task for task in tasks] == ["the flight"] * 2 + ["request 2", "request 3", "request 4"]


async def test_what_is_asked_again_is_counted_where_it_is_asked() -> None:
    coalescer, store = Coalescer(), Store()
    store.bad = {11: ValueError("bad key")}
    ahead = await busy(coalescer, store)

    async def request(key: int) -> Cost:
        current_cost.set(cost := Cost())
        with contextlib.suppress(ValueError):
            await coalescer.read("k", [key], store.read)
        return cost

    tasks = [asyncio.create_task(request(key)) for key in (10, 11, 12)]
    await turns()
    for number in range(6):
        await store.answer(number)

    assert [await task for task in tasks] == [Cost(sql=2), Cost(sql=1, joined=1), Cost(sql=1, joined=1)]
    assert (coalescer.sharing.reads, coalescer.sharing.sent) == (5, 6)
    await asyncio.gather(*ahead)


async def test_an_error_that_many_are_told_is_as_short_for_the_last() -> None:
    coalescer, store = Coalescer(), Store()
    store.bad = {10: StoreUnavailable("MongoDB")}
    ahead = await busy(coalescer, store)
    frames: list[int] = []

    async def request() -> None:
        try:
            await coalescer.read("k", [10], store.read)
        except StoreUnavailable as error:
            frames.append(len(traceback.extract_tb(error.__traceback__)))

    tasks = [asyncio.create_task(request()) for _ in range(5)]
    await turns()
    await store.answer(0)
    await store.answer(1, 2)
    await asyncio.gather(*ahead, *tasks)

    assert len(frames) == 5
    assert set(frames) == {frames[0]}


async def test_whoever_waits_when_the_process_ends_is_told() -> None:
    coalescer, store = Coalescer(), Store()
    ahead = await busy(coalescer, store)
    waiting = [reader(coalescer, store, number) for number in (10, 11)]
    await turns()
    await store.answer(0)
    (flight,) = (task for task in asyncio.all_tasks() if "Coalescer._fly" in repr(task))
    flight.cancel()
    await turns()

    assert [task.cancelled() for task in waiting] == [True, True]
    await store.answer(1)
    await asyncio.gather(*ahead)
    assert coalescer._kinds == {}


async def test_who_has_failed_alone_is_not_asked_again() -> None:
    coalescer, store = Coalescer(), Store()
    store.bad = {10: ValueError("bad key")}
    ahead = await busy(coalescer, store)
    waiting = reader(coalescer, store, 10)
    await turns()
    await store.answer(0)
    await store.answer(1, 2)

    with pytest.raises(ValueError, match=r"^bad key$"):
        await waiting
    assert store.sent == [[0], [1], [10]]
    assert [await task for task in ahead] == [["0"], ["1"]]


@pytest.mark.parametrize("bad", [None, StoreUnavailable("MongoDB")])
async def test_whoever_leaves_just_when_the_answer_comes_takes_nobody_along(bad: Exception | None) -> None:
    coalescer, store = Coalescer(), Store()
    store.bad = {11: bad} if bad else {}
    ahead = await busy(coalescer, store)
    waiting = [reader(coalescer, store, number) for number in (10, 11)]
    await turns()
    await store.answer(0)
    store._answers[2].set_result(None)
    waiting[0].cancel()
    await turns()

    assert waiting[0].cancelled()
    assert (await asyncio.gather(waiting[1], return_exceptions=True))[0] == (bad or ["11"])
    assert store.sent == [[0], [1], [10, 11]]
    await store.answer(1)
    assert [await task for task in ahead] == [["0"], ["1"]]
