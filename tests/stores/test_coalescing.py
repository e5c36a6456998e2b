"""Reads of different requests that go together: when they wait, what they join, and who is told what."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from api.errors import StatementTimedOut, StoreUnavailable
from api.log import Cost, current_cost
from api.stores import coalescing
from api.stores.coalescing import AT_ONCE, Coalescer

pytestmark = pytest.mark.anyio


class Store:
    """Answers each read when it is told to, by the text of its keys; `sent` are the reads so far."""

    def __init__(self) -> None:
        self.sent: list[list[Any]] = []
        self.cancelled: list[list[Any]] = []
        self.bad: dict[Any, Exception] = {}
        self._answers: list[asyncio.Future[None]] = []
        self._another = asyncio.Event()

    async def has_sent(self, number: int) -> None:
        """Wait for so many reads."""
        async with asyncio.timeout(5):
            while len(self.sent) < number:
                await self._another.wait()
                self._another.clear()

    async def read(self, keys: Sequence[Any]) -> Sequence[str]:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent.append(list(keys))
        self._answers.append(answer)
        self._another.set()
        if (cost := current_cost.get()) is not None:
            cost.sql += 1
        try:
            await answer
        except asyncio.CancelledError:
            self.cancelled.append(list(keys))
            raise
        for key in keys:
            if key in self.bad:
                raise self.bad[key]
        return [str(key) for key in keys]

    async def answer(self, *numbers: int) -> None:
        """Let these reads return, and everybody who waits for them go on."""
        for number in numbers:
            self._answers[number].set_result(None)
        await turns()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def reader(coalescer: Coalescer, store: Store, *keys: Any, kind: str = "k") -> asyncio.Task[Sequence[Any]]:
    return asyncio.create_task(coalescer.read(kind, keys, store.read))


async def test_a_read_alone_goes_at_once() -> None:
    coalescer, store = Coalescer(), Store()

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
