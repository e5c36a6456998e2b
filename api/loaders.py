"""The loader: keys asked for in one turn of the event loop become one batch.

Why not Strawberry's: its loader caches a failed batch and cancels the batch with one of its waiters. Here a failed
key is forgotten, every waiter has a future of its own, and a batch ends early only when nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Fetch = Callable[[Sequence[K], frozenset[str]], Awaitable[Sequence[V]]]
"""Takes distinct keys and the columns that the values must have; returns one value a key, in the order of the keys."""

NO_COLUMNS: frozenset[str] = frozenset()


class _Batch(Generic[K, V]):
    """Keys collected until the event loop turns, then fetched by one task."""

    __slots__ = ("columns", "results", "task", "waiting")

    def __init__(self) -> None:
        self.columns: set[str] = set()
        self.results: dict[K, asyncio.Future[V]] = {}
        self.task: asyncio.Task[None] | None = None
        self.waiting = 0


class Loader(Generic[K, V]):
    """Loads values by key for one operation, each key once, all keys of a turn in one call of `fetch`.

    A value that was loaded with fewer columns than are asked for now is loaded again.
    """

    def __init__(self, fetch: Fetch[K, V]) -> None:
        self._fetch = fetch
        self._open: _Batch[K, V] | None = None
        self._batch_of: dict[K, _Batch[K, V]] = {}

    def load(self, key: K, columns: frozenset[str] = NO_COLUMNS) -> asyncio.Future[V]:
        """A future of the value of this key. Raises, when awaited, what the batch raised."""
        batch = self._batch_of.get(key)
        if batch is None or (batch is not self._open and not columns <= batch.columns):
            batch = self._join_open_batch(key)
        if batch is self._open:
            batch.columns |= columns
        return self._wait(batch, key)

    def clear(self, key: K) -> None:
        """Forget what was loaded for this key, after a write to it."""
        self._batch_of.pop(key, None)

    def clear_all(self) -> None:
        """Forget everything that was loaded."""
        self._batch_of.clear()

    def _join_open_batch(self, key: K) -> _Batch[K, V]:
        loop = asyncio.get_running_loop()
        batch = self._open
        if batch is None:
            batch = self._open = _Batch()
            loop.call_soon(self._dispatch, batch)
        if key not in batch.results:
            batch.results[key] = loop.create_future()
        self._batch_of[key] = batch
        return batch

    def _wait(self, batch: _Batch[K, V], key: K) -> asyncio.Future[V]:
        result = batch.results[key]
        waiter: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        if result.done():
            _settle(waiter, result)
            return waiter
        batch.waiting += 1

        def left(done: asyncio.Future[V]) -> None:
            batch.waiting -= 1
            if done.cancelled() and batch.waiting == 0 and batch.task is not None and not batch.task.done():
                self._forget(batch)  # who asks from now on must not be cancelled with it
                batch.task.cancel()

        waiter.add_done_callback(left)
        result.add_done_callback(lambda done: _settle(waiter, done))
        return waiter

    def _dispatch(self, batch: _Batch[K, V]) -> None:
        self._open = None
        batch.task = asyncio.get_running_loop().create_task(self._run(batch))

    async def _run(self, batch: _Batch[K, V]) -> None:
        keys = list(batch.results)
        try:
            values = await self._fetch(keys, frozenset(batch.columns))
            if len(values) != len(keys):
                raise RuntimeError(f"a batch of {len(keys)} keys returned {len(values)} values")
        except BaseException as error:
            self._forget(batch)
            for result in batch.results.values():
                if isinstance(error, asyncio.CancelledError):
                    result.cancel()
                else:
                    result.set_exception(error)
                    result.exception()  # retrieved: where every waiter has left, the loop must not complain
            if not isinstance(error, Exception):
                raise
        else:
            for result, value in zip(batch.results.values(), values, strict=True):
                result.set_result(value)

    def _forget(self, batch: _Batch[K, V]) -> None:
        for key in batch.results:
            if self._batch_of.get(key) is batch:
                del self._batch_of[key]


def _settle(waiter: asyncio.Future[V], result: asyncio.Future[V]) -> None:
    if waiter.done():
        return
    if result.cancelled():
        waiter.cancel()
    elif (error := result.exception()) is not None:
        waiter.set_exception(error)
        waiter.exception()  # retrieved: who asked may have given up without cancelling
    else:
        waiter.set_result(result.result())
