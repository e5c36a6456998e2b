"""The loader alone: what becomes a batch, and what becomes of its waiters."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import pytest

from api.fields.loaders import Loader

pytestmark = pytest.mark.anyio

T = TypeVar("T")

A, B, AB = frozenset({"a"}), frozenset({"b"}), frozenset({"a", "b"})


class Source:
    """A fetch that doubles its keys and remembers its calls. `hold` keeps batches until `release` is set."""

    def __init__(self, *, hold: bool = False) -> None:
        self.calls: list[tuple[list[int], frozenset[str]]] = []
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = 0
        if not hold:
            self.release.set()

    async def __call__(self, keys: Sequence[int], columns: frozenset[str]) -> list[int]:
        self.calls.append((list(keys), columns))
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return [key * 2 for key in keys]


@pytest.fixture
def complaints(anyio_backend: str) -> list[dict[str, Any]]:
    """Fills with what the event loop complains about."""
    return []


@pytest.fixture(autouse=True)
async def watch(complaints: list[dict[str, Any]], anyio_backend: str) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))


async def turn_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  what is waited for is another task's turn
            await asyncio.sleep(0)


async def together(*awaitables: Awaitable[Any], return_exceptions: bool = False) -> list[Any]:
    async with asyncio.timeout(5):
        return list(await asyncio.gather(*awaitables, return_exceptions=return_exceptions))


async def answer(awaitable: Awaitable[T]) -> T:
    """What is awaited, or an error where it never comes."""
    async with asyncio.timeout(5):
        return await awaitable


async def test_one_batch_a_turn_of_distinct_keys() -> None:
    source = Source()
    loader = Loader(source)

    values = await together(loader.load(1), loader.load(2), loader.load(1), loader.load(3))

    assert values == [2, 4, 2, 6]
    assert source.calls == [([1, 2, 3], frozenset())]


async def test_a_loaded_key_is_not_fetched_again() -> None:
    source = Source()
    loader = Loader(source)
    await answer(loader.load(1))

    assert await together(loader.load(1), loader.load(2)) == [2, 4]
    assert source.calls == [([1], frozenset()), ([2], frozenset())]


async def test_a_key_under_way_is_not_fetched_again() -> None:
    source = Source(hold=True)
    loader = Loader(source)
    first = loader.load(1, A)
    await source.started.wait()

    second = loader.load(1, A)
    source.release.set()

    assert await together(first, second) == [2, 2]
    assert source.calls == [([1], A)]


async def test_a_batch_fetches_the_union_of_the_columns() -> None:
    source = Source()
    loader = Loader(source)

    await together(loader.load(1, A), loader.load(2, B))

    assert source.calls == [([1, 2], AB)]


async def test_a_value_with_too_few_columns_is_loaded_again() -> None:
    source = Source()
    loader = Loader(source)
    await answer(loader.load(1, AB))

    await answer(loader.load(1, B))
    await answer(loader.load(1, frozenset({"c"})))

    assert source.calls == [([1], AB), ([1], frozenset({"c"}))]


async def test_a_value_under_way_with_too_few_columns_is_loaded_again() -> None:
    source = Source(hold=True)
    loader = Loader(source)
    first = loader.load(1, A)
    await source.started.wait()

    second = loader.load(1, B)
    source.release.set()

    assert await together(first, second) == [2, 2]
    assert source.calls == [([1], A), ([1], B)]


async def test_values_may_be_none() -> None:
    async def nothing(keys: Sequence[int], columns: frozenset[str]) -> list[None]:
        calls.append(list(keys))
        return [None for _ in keys]

    calls: list[list[int]] = []
    loader = Loader(nothing)

    assert await together(loader.load(1)) == [None]
    assert await together(loader.load(1)) == [None]
    assert calls == [[1]]


async def test_every_waiter_gets_the_error_and_the_next_load_tries_again(complaints: list[dict[str, Any]]) -> None:
    async def fails_first(keys: Sequence[int], columns: frozenset[str]) -> list[int]:
        calls.append(list(keys))
        if len(calls) == 1:
            raise OSError("gone")
        return list(keys)

    calls: list[list[int]] = []
    loader = Loader(fails_first)

    failed = await together(loader.load(1), loader.load(2), loader.load(1), return_exceptions=True)
    again = await together(loader.load(1), loader.load(2))

    assert [repr(error) for error in failed] == ["OSError('gone')"] * 3
    assert again == [1, 2]
    assert calls == [[1, 2], [1, 2]]
    gc.collect()
    assert complaints == []


async def test_a_failed_reload_keeps_nobody_from_the_next(complaints: list[dict[str, Any]]) -> None:
    async def fails_for_b(keys: Sequence[int], columns: frozenset[str]) -> list[str]:
        if "b" in columns:
            raise OSError("no such column")
        return [",".join(sorted(columns)) for _ in keys]

    loader = Loader(fails_for_b)
    await answer(loader.load(1, A))

    with pytest.raises(OSError, match="no such column"):
        await answer(loader.load(1, B))

    assert await answer(loader.load(1, A)) == "a"


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_wrong_number_of_values_is_an_error(count: int) -> None:
    async def wrong(keys: Sequence[int], columns: frozenset[str]) -> list[int]:
        return [0] * count

    loader = Loader(wrong)

    answers = await together(loader.load(1), loader.load(2), return_exceptions=True)

    assert [str(answer) for answer in answers] == [f"a batch of 2 keys returned {count} values"] * 2


async def test_a_cancelled_waiter_cancels_nobody_else() -> None:
    source = Source(hold=True)
    loader = Loader(source)
    leaving, staying = (asyncio.create_task(answer(loader.load(1))) for _ in range(2))
    other = asyncio.create_task(answer(loader.load(2)))
    await source.started.wait()

    leaving.cancel()
    await turn_until(leaving.done)
    source.release.set()

    assert await together(staying, other) == [2, 4]
    assert leaving.cancelled()
    assert source.cancelled == 0


async def test_a_batch_that_nobody_waits_for_is_cancelled_and_forgotten(complaints: list[dict[str, Any]]) -> None:
    source = Source(hold=True)
    loader = Loader(source)
    waiters = [asyncio.create_task(answer(loader.load(key))) for key in (1, 2)]
    await source.started.wait()

    for waiter in waiters:
        waiter.cancel()
    await turn_until(lambda: source.cancelled == 1)
    source.release.set()

    assert await answer(loader.load(1)) == 2
    assert source.calls == [([1, 2], frozenset()), ([1], frozenset())]
    gc.collect()
    assert complaints == []


async def test_who_comes_while_an_abandoned_batch_ends_gets_a_batch_of_their_own() -> None:
    async def slow_to_end(keys: Sequence[int], columns: frozenset[str]) -> list[int]:
        calls.append(list(keys))
        if len(calls) == 1:
            try:
                await asyncio.Event().wait()
            finally:
                ending.set()
                await ended.wait()  # as a rollback would
        return list(keys)

    calls: list[list[int]] = []
    ending, ended = asyncio.Event(), asyncio.Event()
    loader = Loader(slow_to_end)
    waiter = asyncio.create_task(answer(loader.load(1)))
    await turn_until(lambda: bool(calls))
    waiter.cancel()
    await ending.wait()

    late = loader.load(1)
    ended.set()

    assert await answer(late) == 1
    assert calls == [[1], [1]]


async def test_who_comes_in_the_turn_of_the_cancellation_is_not_cancelled() -> None:
    source = Source(hold=True)
    loader = Loader(source)
    first = loader.load(1)
    await source.started.wait()

    first.cancel()
    late = loader.load(1)
    source.release.set()

    assert await answer(late) == 2


async def test_nothing_is_fetched_for_waiters_that_left_at_once() -> None:
    source = Source()
    loader = Loader(source)

    loader.load(1).cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert source.calls == []
    assert await answer(loader.load(1)) == 2
    assert source.calls == [([1], frozenset())]


async def test_an_error_that_nobody_awaits_is_no_noise(complaints: list[dict[str, Any]]) -> None:
    async def fails(keys: Sequence[int], columns: frozenset[str]) -> list[int]:
        failed.set()
        raise OSError("gone")

    failed = asyncio.Event()
    loader = Loader(fails)

    abandoned, cancelled = loader.load(1), loader.load(2)
    cancelled.cancel()
    await failed.wait()
    await turn_until(abandoned.done)
    del abandoned, cancelled
    await asyncio.sleep(0)  # the last callbacks hold the futures
    gc.collect()

    assert complaints == []


async def test_clear_forgets_one_key() -> None:
    source = Source()
    loader = Loader(source)
    await together(loader.load(1), loader.load(2))

    loader.clear(1)
    loader.clear(3)
    await together(loader.load(1), loader.load(2))

    assert source.calls == [([1, 2], frozenset()), ([1], frozenset())]


async def test_clear_all_forgets_every_key() -> None:
    source = Source()
    loader = Loader(source)
    await together(loader.load(1), loader.load(2))

    loader.clear_all()
    await together(loader.load(1), loader.load(2))

    assert source.calls == [([1, 2], frozenset())] * 2


async def test_what_was_under_way_when_its_key_was_cleared_is_not_kept() -> None:
    source = Source(hold=True)
    loader = Loader(source)
    before = loader.load(1)
    await source.started.wait()

    loader.clear(1)
    after = loader.load(1)
    source.release.set()

    assert await together(before, after) == [2, 2]
    assert source.calls == [([1], frozenset())] * 2


async def test_many_keys_of_several_calls_are_one_batch() -> None:
    source = Source()
    loader = Loader(source)

    values = await together(
        loader.load_many([1, 2, 1], A), loader.load(3, B), loader.load_many([3, 2]), loader.load_many([])
    )

    assert values == [[2, 4, 2], 6, [6, 4], []]
    assert source.calls == [([1, 2, 3], AB)]


async def test_of_many_keys_only_the_new_ones_are_fetched() -> None:
    source = Source()
    loader = Loader(source)
    await answer(loader.load_many([1, 2], A))
    await answer(loader.load_many([5], B))

    assert await answer(loader.load_many([4, 2, 3, 1, 5, 4], A)) == [8, 4, 6, 2, 10, 8]
    assert await answer(loader.load_many([2, 1], A)) == [4, 2]
    assert source.calls == [([1, 2], A), ([5], B), ([4, 3, 5], A)]


async def test_many_keys_wait_for_those_under_way() -> None:
    source = Source(hold=True)
    loader = Loader(source)
    first = loader.load_many([1, 2])
    await source.started.wait()

    second = loader.load_many([2, 3])
    source.release.set()

    assert await together(first, second) == [[2, 4], [4, 6]]
    assert source.calls == [([1, 2], frozenset()), ([3], frozenset())]


async def test_the_answers_of_two_calls_are_two_lists() -> None:
    loader = Loader(Source())

    first, second = await together(loader.load_many([1, 2]), loader.load_many([1, 2]))
    first.clear()

    assert second == [2, 4]
    assert await answer(loader.load_many([1, 2])) == [2, 4]


async def test_many_keys_fail_with_any_of_their_batches(complaints: list[dict[str, Any]]) -> None:
    async def fails_for_3(keys: Sequence[int], columns: frozenset[str]) -> list[int]:
        calls.append(list(keys))
        if 3 in keys and len(calls) == 2:
            raise OSError("gone")
        return list(keys)

    calls: list[list[int]] = []
    loader = Loader(fails_for_3)
    await answer(loader.load(1))

    with pytest.raises(OSError, match="gone"):
        await answer(loader.load_many([1, 3]))

    assert await answer(loader.load_many([1, 3])) == [1, 3]
    assert calls == [[1], [3], [3]]
    gc.collect()
    assert complaints == []


async def test_many_keys_that_nobody_waits_for_cancel_only_what_is_theirs() -> None:
    source = Source(hold=True)
    loader = Loader(source)
    staying = loader.load(1)
    await source.started.wait()
    source.started.clear()
    leaving = loader.load_many([1, 2])
    await source.started.wait()

    leaving.cancel()
    await turn_until(lambda: source.cancelled == 1)
    source.release.set()

    assert await answer(staying) == 2
    assert await answer(loader.load_many([1, 2])) == [2, 4]
    assert source.calls == [([1], frozenset()), ([2], frozenset()), ([2], frozenset())]
