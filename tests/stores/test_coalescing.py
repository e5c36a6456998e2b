"""Reads of different requests that go together: when they wait, and what they join."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.log import Cost, current_cost
from api.stores import coalescing
from api.stores.coalescing import AT_ONCE, Coalescer
from tests.support.stores.answering import Store, busy, reader, turns

pytestmark = pytest.mark.anyio


def made_by_us(tasks: set[asyncio.Task[Any]]) -> list[Any]:
    """What runs in these tasks, but for the watch that MongoDB's driver keeps on lasting connections."""
    coroutines: list[Any] = [task.get_coro() for task in tasks]
    return [coroutine for coroutine in coroutines if "pymongo" not in coroutine.cr_code.co_filename]


@pytest.mark.parametrize("readers", [0, 1])
async def test_a_read_alone_goes_at_once(readers: int) -> None:
    coalescer, store = Coalescer(), Store()
    coalescer.readers = readers

    reading = coalescer.read("k", [1], store.read)
    answer = reading.send(None)
    assert store.sent == [[1]]  # before the loop has turned, and by whoever asks
    answer.set_result(None)

    with pytest.raises(StopIteration) as ended:
        reading.send(None)
    assert ended.value.value == ["1"]
    assert coalescer._kinds == {}


async def test_what_waits_goes_together_each_key_once() -> None:
    coalescer, store = Coalescer(), Store()
    first = [reader(coalescer, store, number) for number in range(AT_ONCE)]
    await turns()
    waiting = [reader(coalescer, store, *keys) for keys in ((10, 11), (11, 12), (10,))]
    await turns()
    assert store.sent == [[number] for number in range(AT_ONCE)]

    await store.answer(0)
    assert store.sent[AT_ONCE:] == [[10, 11, 12]]
    await store.answer(1, 2)

    assert [await task for task in first] == [["0"], ["1"]]
    assert [await task for task in waiting] == [["10", "11"], ["11", "12"], ["10"]]
    assert (coalescer.sharing.reads, coalescer.sharing.sent, coalescer.sharing.keys_saved) == (5, 3, 2)
    assert coalescer._kinds == {}


async def test_nobody_joins_what_was_sent() -> None:
    coalescer, store = Coalescer(), Store()
    tasks = [reader(coalescer, store, 1) for _ in range(AT_ONCE + 1)]
    await turns()
    await store.answer(0)
    late = reader(coalescer, store, 1)
    await turns()
    assert store.sent == [[1]] * (AT_ONCE + 1)  # the same key is under way twice, and was sent before

    await store.answer(1)
    assert len(store.sent) == AT_ONCE + 2
    await store.answer(2, 3)

    assert [await task for task in (*tasks, late)] == [["1"]] * (AT_ONCE + 2)


async def test_kinds_do_not_wait_for_each_other() -> None:
    coalescer, store = Coalescer(), Store()
    tasks = [reader(coalescer, store, 1) for _ in range(AT_ONCE + 1)]
    tasks.append(reader(coalescer, store, 1, kind="other"))
    await turns()

    assert len(store.sent) == AT_ONCE + 1
    await store.answer(*range(AT_ONCE + 1))
    await store.answer(AT_ONCE + 1)
    assert [await task for task in tasks] == [["1"]] * (AT_ONCE + 2)


async def test_the_slow_are_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "PATIENCE", 0.001)
    coalescer, store = Coalescer(), Store()
    slow = [reader(coalescer, store, number) for number in range(AT_ONCE)]
    await turns()
    quick = reader(coalescer, store, 7)

    await store.has_sent(AT_ONCE + 1)
    await store.answer(AT_ONCE)

    assert await quick == ["7"]
    assert not any(task.done() for task in slow)
    await store.answer(*range(AT_ONCE))
    assert [await task for task in slow] == [["0"], ["1"]]


async def test_so_many_keys_go_together_in_the_order_of_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "MOST_KEYS", 3)
    coalescer, store = Coalescer(), Store()
    tasks = [reader(coalescer, store, number) for number in range(AT_ONCE)]
    await turns()
    tasks += [reader(coalescer, store, *keys) for keys in ((10, 11), (12,), (13,), (20, 21, 22, 23), (14,))]
    await turns()
    for number in range(6):
        await store.answer(number)

    assert store.sent[AT_ONCE:] == [[10, 11, 12], [13], [20, 21, 22, 23], [14]]
    assert [await task for task in tasks][2:] == [["10", "11"], ["12"], ["13"], ["20", "21", "22", "23"], ["14"]]
    assert coalescer._kinds == {}


async def test_a_statement_is_counted_where_it_was_caused() -> None:
    coalescer, store = Coalescer(), Store()

    async def request(key: int) -> Cost:
        current_cost.set(cost := Cost())
        await coalescer.read("k", [key], store.read)
        return cost

    tasks = [asyncio.create_task(request(number)) for number in range(AT_ONCE + 3)]
    await turns()
    for number in range(3):
        await store.answer(number)

    assert [await task for task in tasks] == [*[Cost(sql=1)] * (AT_ONCE + 1), Cost(joined=1), Cost(joined=1)]


async def test_those_that_are_left_over_wait_no_longer_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "MOST_KEYS", 1)
    monkeypatch.setattr(coalescing, "PATIENCE", 60.0)
    coalescer, store = Coalescer(), Store()
    tasks = await busy(coalescer, store)
    tasks += [reader(coalescer, store, number) for number in (10, 11, 12)]
    await turns()
    for waiter in [*coalescer._kinds["k"].waiting][:2]:
        waiter.since -= 60.0
    await store.answer(0)
    await store.has_sent(AT_ONCE + 2)
    await turns()

    assert store.sent[AT_ONCE:] == [[10], [11]]
    for number in range(1, AT_ONCE + 3):
        await store.answer(number)
    assert store.sent[AT_ONCE:] == [[10], [11], [12]]
    assert [await task for task in tasks] == [["0"], ["1"], ["10"], ["11"], ["12"]]
    assert coalescer._kinds == {}
    assert 120 <= coalescer.sharing.waited < 180


async def test_a_timer_runs_as_long_as_somebody_waits() -> None:
    coalescer, store = Coalescer(), Store()
    ahead = await busy(coalescer, store)
    kind = coalescer._kinds["k"]
    first, second = (reader(coalescer, store, number) for number in (10, 11))
    await turns()
    first.cancel()
    await turns()
    assert kind.timer is not None
    assert not kind.timer.cancelled()
    second.cancel()
    await turns()
    assert kind.timer is None

    third = reader(coalescer, store, 12)
    await turns()
    assert kind.timer is not None
    await store.answer(0)
    assert kind.timer is None
    await store.answer(1, 2)
    assert [await task for task in (*ahead, third)] == [["0"], ["1"], ["12"]]


@pytest.mark.parametrize(
    ("size", "flights"), [(1, [[10, 11, 12, 13]]), (40, [[10, 11], [12, 13]]), (101, [[10, 11], [12], [13]])]
)
async def test_so_many_bytes_go_together(monkeypatch: pytest.MonkeyPatch, size: int, flights: list[list[int]]) -> None:
    monkeypatch.setattr(coalescing, "MOST_BYTES", 100)
    coalescer, store = Coalescer(), Store()
    ahead = [reader(coalescer, store, number, size=size) for number in range(AT_ONCE)]
    await turns()
    tasks = [reader(coalescer, store, *keys, size=size) for keys in ((10, 11), (12,), (13,))]
    await turns()
    for number in range(AT_ONCE + len(flights)):
        await store.answer(number)

    assert store.sent[AT_ONCE:] == flights
    assert [await task for task in (*ahead, *tasks)] == [["0"], ["1"], ["10", "11"], ["12"], ["13"]]


async def test_keys_that_others_ask_for_too_are_not_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "MOST_KEYS", 3)
    coalescer, store = Coalescer(), Store()
    tasks = await busy(coalescer, store)
    tasks += [reader(coalescer, store, 10, 11, 12) for _ in range(5)]
    await turns()
    await store.answer(0)
    assert store.sent[AT_ONCE:] == [[10, 11, 12]]
    await store.answer(1, 2)

    assert [await task for task in tasks][AT_ONCE:] == [["10", "11", "12"]] * 5
    assert coalescer.sharing.keys_saved == 12


async def test_readers_who_ask_in_the_same_turn_go_together() -> None:
    coalescer, store = Coalescer(), Store()
    coalescer.readers = 3
    together = [reader(coalescer, store, *keys) for keys in ((1, 2), (2, 3))]
    await turns()
    later = reader(coalescer, store, 2)
    await turns()
    assert store.sent == [[1, 2, 3], [2]]  # what was sent is not joined
    third = reader(coalescer, store, 4)
    await turns()
    assert len(store.sent) == AT_ONCE

    await store.answer(0)
    await store.answer(1, 2)
    assert [await task for task in (*together, later, third)] == [["1", "2"], ["2", "3"], ["2"], ["4"]]
    assert (coalescer.sharing.reads, coalescer.sharing.sent, coalescer.sharing.keys_saved) == (4, 3, 1)
    assert coalescer._kinds == {}


async def test_who_finds_nobody_else_asks_as_itself() -> None:
    coalescer, store = Coalescer(), Store()
    coalescer.readers = 2
    current_cost.set(cost := Cost())

    reading = asyncio.ensure_future(coalescer.read("k", [1], store.read))
    before = asyncio.all_tasks()
    await turns()
    assert store.sent == [[1]]
    assert made_by_us(asyncio.all_tasks() - before) == []  # no task was made for it

    await store.answer(0)
    assert await reading == ["1"]
    assert (cost, coalescer.sharing.sent, coalescer._kinds) == (Cost(sql=1), 1, {})


@pytest.mark.parametrize("steps", range(4))
async def test_who_is_to_go_alone_may_leave_at_any_step(steps: int) -> None:
    coalescer, store = Coalescer(), Store()
    coalescer.readers = 2
    reading = reader(coalescer, store, 1)
    for _ in range(steps):
        await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await turns()

    assert coalescer._kinds == {}
    assert store.cancelled == store.sent


async def test_the_last_reader_is_not_sent_past_one_who_waits() -> None:
    coalescer, store = Coalescer(), Store()
    coalescer.readers = 2
    first, second = coalescer.read("k", [1], store.read), coalescer.read("k", [2], store.read)
    reading = [asyncio.ensure_future(first)]
    await asyncio.sleep(0)
    coalescer.readers = 1
    second.send(None)
    second.close()
    assert store.sent == []  # it was not sent past the one before

    await turns()
    await store.answer(0)
    assert await reading[0] == ["1"]
