"""The loader: keys asked for in one turn of the event loop become one batch.

Strawberry's loader caches failed batches, and cancels a batch together with one of its waiters. Here a failed key is
forgotten, every call has its own future, and a batch only ends early when nobody waits for it. A whole level of an
operation asks in one call, which costs one future instead of two for each key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar, cast

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Fetch = Callable[[Sequence[K], frozenset[str]], Awaitable[Sequence[V]]]
"""Takes distinct keys and the columns that the values need; returns one value for each key, in their order."""

NO_COLUMNS: frozenset[str] = frozenset()


class _Batch(Generic[K, V]):
    """Keys that are collected until the next turn of the event loop, and then fetched by one task."""

    __slots__ = ("_by_key", "_fetched", "_values", "calls", "columns", "done", "keys", "task")

    def __init__(self) -> None:
        self.keys: dict[K, None] = {}  # the keys whose values this batch has, in the order in which they were asked for
        self.columns = NO_COLUMNS
        self.calls: set[_Call[K, V]] = set()
        self.task: asyncio.Task[None] | None = None
        self.done = False
        self._fetched: Sequence[K] = ()
        self._values: Sequence[V] = ()
        self._by_key: dict[K, V] | None = None

    def fill(self, keys: Sequence[K], values: Sequence[V]) -> None:
        """Take the fetched values."""
        self._fetched, self._values = keys, values
        self.done = True

    def values_of(self, keys: Sequence[K], *, in_order: bool) -> list[V]:
        """The values of some of the keys. With `in_order` they are the first keys of the batch, without repetition."""
        if in_order and len(keys) == len(self._fetched):
            return list(self._values)
        if self._by_key is None:
            self._by_key = dict(zip(self._fetched, self._values, strict=True))
        return list(map(self._by_key.__getitem__, keys))


class _Call(Generic[K, V]):
    """One call, which waits for some keys. `sources` are their batches: one for all keys, or one for each.

    `in_order` means that all keys are different and were the first of their batch.
    """

    __slots__ = ("alone", "answer", "in_order", "keys", "pending", "sources")

    def __init__(self, keys: Sequence[K], sources: Sequence[_Batch[K, V]], *, alone: bool, in_order: bool) -> None:
        self.keys = keys
        self.sources = sources
        self.alone = alone
        self.in_order = in_order
        self.pending = {source for source in sources if not source.done}
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(self) -> None:
        """Answer the call once all its batches are done."""
        if self.pending or self.answer.done():
            return
        if len(self.sources) == 1:
            values = self.sources[0].values_of(self.keys, in_order=self.in_order)
        else:
            pairs = zip(self.sources, self.keys, strict=True)
            values = [source.values_of((key,), in_order=False)[0] for source, key in pairs]
        self.answer.set_result(values[0] if self.alone else values)

    def fail(self, error: BaseException) -> None:
        """Answer the call with the error of one of its batches."""
        if self.answer.done():
            return
        if isinstance(error, asyncio.CancelledError):
            self.answer.cancel()
        else:
            self.answer.set_exception(error)
            self.answer.exception()  # mark the error as retrieved, since the caller may no longer await it


class Loader(Generic[K, V]):
    """Loads values by key for one operation: each key once, and all keys of a turn with one call of `fetch`.

    A value is loaded again where it is now needed with more columns.
    """

    def __init__(self, fetch: Fetch[K, V]) -> None:
        self._fetch = fetch
        self._open: _Batch[K, V] | None = None
        self._batches: list[
            _Batch[K, V]
        ] = []  # the newest is last; there are about as many as levels that use this loader

    def load(self, key: K, columns: frozenset[str] = NO_COLUMNS) -> asyncio.Future[V]:
        """A future of the key's value. Awaiting it raises what the batch raised."""
        return self._call((key,), columns, alone=True)

    def load_many(self, keys: Sequence[K], columns: frozenset[str] = NO_COLUMNS) -> asyncio.Future[list[V]]:
        """A future of the values of these keys, in their order. Keys may be repeated.

        Awaiting it raises the error of the first batch that fails. The caller must not change the keys meanwhile.
        """
        return self._call(keys, columns, alone=False)

    def clear(self, key: K) -> None:
        """Forget what was loaded for this key, after a write to it."""
        for batch in self._batches:
            if batch is not self._open:
                batch.keys.pop(key, None)

    def clear_all(self) -> None:
        """Forget everything that was loaded."""
        self._batches = [] if self._open is None else [self._open]

    def _call(self, keys: Sequence[K], columns: frozenset[str], *, alone: bool) -> asyncio.Future[Any]:
        if any(not batch.keys.keys().isdisjoint(keys) for batch in self._batches):
            call = _Call(keys, self._sources(keys, columns), alone=alone, in_order=False)
        elif keys:  # the usual case
            first = self._open is None
            batch = self._join(keys, columns)
            call = _Call(keys, (batch,), alone=alone, in_order=first and len(batch.keys) == len(keys))
        else:
            call = _Call(keys, (), alone=alone, in_order=False)
        if call.pending:
            for batch in call.pending:
                batch.calls.add(call)
            call.answer.add_done_callback(partial(self._left, call))
        else:
            call.settle()
        return call.answer

    def _sources(self, keys: Sequence[K], columns: frozenset[str]) -> Sequence[_Batch[K, V]]:
        """The batches that have or will have the values: known ones with enough columns, else the open one."""
        found = [self._newest(key) for key in keys]
        enough = {batch for batch in set(found) if batch and (batch is self._open or columns <= batch.columns)}
        others = [key for key, batch in zip(keys, found, strict=True) if batch not in enough]
        joined = self._join(others, columns) if others or self._open in enough else None
        sources = [cast("_Batch[K, V]", batch if batch in enough else joined) for batch in found]
        return sources if len(set(sources)) > 1 else sources[:1]

    def _newest(self, key: K) -> _Batch[K, V] | None:
        return next((batch for batch in reversed(self._batches) if key in batch.keys), None)

    def _join(self, keys: Sequence[K], columns: frozenset[str]) -> _Batch[K, V]:
        """Add keys and columns to the open batch."""
        batch = self._open
        if batch is None:
            batch = self._open = _Batch()
            self._batches.append(batch)
            batch.task = asyncio.get_running_loop().create_task(
                self._run(batch)
            )  # it begins with the next turn of the event loop
        batch.columns |= columns
        batch.keys.update(dict.fromkeys(keys))
        return batch

    def _left(self, call: _Call[K, V], answer: asyncio.Future[Any]) -> None:
        """Called when a call is answered, cancelled, or failed by another of its batches."""
        for batch in call.pending:
            batch.calls.discard(call)
            if answer.cancelled() and not batch.calls and batch.task is not None and not batch.task.done():
                self._forget(batch)  # later calls must not join a batch that is being cancelled
                batch.task.cancel()

    async def _run(self, batch: _Batch[K, V]) -> None:
        self._open = None
        if all(call.answer.cancelled() for call in batch.calls):
            self._forget(batch)
            return
        keys = list(batch.keys)
        try:
            values = await self._fetch(keys, batch.columns)
            if len(values) != len(keys):
                raise RuntimeError(f"a batch of {len(keys)} keys returned {len(values)} values")
        except BaseException as error:
            self._forget(batch)
            for call in batch.calls:
                call.fail(error)
            if not isinstance(error, Exception):
                raise
        else:
            batch.fill(keys, values)
            for call in batch.calls:
                call.pending.discard(batch)
                call.settle()
            batch.calls.clear()

    def _forget(self, batch: _Batch[K, V]) -> None:
        if batch is self._open:
            self._open = None
        if batch in self._batches:
            self._batches.remove(batch)
