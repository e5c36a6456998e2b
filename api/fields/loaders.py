"""The loader: keys asked for in one turn of the event loop become one batch.

Why not Strawberry's: its loader caches a failed batch and cancels the batch with one of its waiters. Here a failed
key is forgotten, every call has a future of its own, and a batch ends early only when nobody waits for it. It costs
one future a call, not two a key: a whole level of an operation asks in one call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar, cast

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Fetch = Callable[[Sequence[K], frozenset[str]], Awaitable[Sequence[V]]]
"""Takes distinct keys and the columns that the values must have; returns one value a key, in the order of the keys."""

NO_COLUMNS: frozenset[str] = frozenset()


class _Batch(Generic[K, V]):
    """Keys collected until the event loop turns, then fetched by one task. Until it is `done`, no value is there."""

    __slots__ = ("_by_key", "_fetched", "_values", "calls", "columns", "done", "keys", "task")

    def __init__(self) -> None:
        self.keys: dict[K, None] = {}  # whose values are to be had here, in the order of asking
        self.columns = NO_COLUMNS
        self.calls: set[_Call[K, V]] = set()
        self.task: asyncio.Task[None] | None = None
        self.done = False
        self._fetched: Sequence[K] = ()
        self._values: Sequence[V] = ()
        self._by_key: dict[K, V] | None = None

    def fill(self, keys: Sequence[K], values: Sequence[V]) -> None:
        """Take what was fetched."""
        self._fetched, self._values = keys, values
        self.done = True

    def values_of(self, keys: Sequence[K], *, in_order: bool) -> list[V]:
        """The values of some of its keys. `in_order` are the first ones that were asked for, without repetition."""
        if in_order and len(keys) == len(self._fetched):
            return list(self._values)
        if self._by_key is None:
            self._by_key = dict(zip(self._fetched, self._values, strict=True))
        return list(map(self._by_key.__getitem__, keys))


class _Call(Generic[K, V]):
    """Who waits for which keys. `sources` are their batches: one for all of the keys, or one each.

    `in_order` tells that the keys are all different and were the first of their batch.
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
        """Answer, once every batch is done."""
        if self.pending or self.answer.done():
            return
        if len(self.sources) == 1:
            values = self.sources[0].values_of(self.keys, in_order=self.in_order)
        else:
            pairs = zip(self.sources, self.keys, strict=True)
            values = [source.values_of((key,), in_order=False)[0] for source, key in pairs]
        self.answer.set_result(values[0] if self.alone else values)

    def fail(self, error: BaseException) -> None:
        """Answer with what one of the batches has raised."""
        if self.answer.done():
            return
        if isinstance(error, asyncio.CancelledError):
            self.answer.cancel()
        else:
            self.answer.set_exception(error)
            self.answer.exception()  # retrieved: who asked may have given up without cancelling


class Loader(Generic[K, V]):
    """Loads values by key for one operation, each key once, all keys of a turn in one call of `fetch`.

    A value that was loaded with fewer columns than are asked for now is loaded again.
    """

    def __init__(self, fetch: Fetch[K, V]) -> None:
        self._fetch = fetch
        self._open: _Batch[K, V] | None = None
        self._batches: list[_Batch[K, V]] = []  # the newest last; there are about as many as levels with this loader

    def load(self, key: K, columns: frozenset[str] = NO_COLUMNS) -> asyncio.Future[V]:
        """A future of the value of this key. Raises, when awaited, what the batch raised."""
        return self._call((key,), columns, alone=True)

    def load_many(self, keys: Sequence[K], columns: frozenset[str] = NO_COLUMNS) -> asyncio.Future[list[V]]:
        """A future of the values of these keys, in their order; a key may be there twice.

        Raises, when awaited, what the first of their batches to fail raised. The keys must not be changed meanwhile.
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
        """Where the values are or will be: batches with enough columns, for all other keys the open one."""
        found = [self._newest(key) for key in keys]
        enough = {batch for batch in set(found) if batch and (batch is self._open or columns <= batch.columns)}
        others = [key for key, batch in zip(keys, found, strict=True) if batch not in enough]
        joined = self._join(others, columns) if others or self._open in enough else None
        sources = [cast("_Batch[K, V]", batch if batch in enough else joined) for batch in found]
        return sources if len(set(sources)) > 1 else sources[:1]

    def _newest(self, key: K) -> _Batch[K, V] | None:
        return next((batch for batch in reversed(self._batches) if key in batch.keys), None)

    def _join(self, keys: Sequence[K], columns: frozenset[str]) -> _Batch[K, V]:
        """The open batch, with these keys and columns."""
        batch = self._open
        if batch is None:
            batch = self._open = _Batch()
            self._batches.append(batch)
            batch.task = asyncio.get_running_loop().create_task(self._run(batch))  # begins with the loop's next turn
        batch.columns |= columns
        batch.keys.update(dict.fromkeys(keys))
        return batch

    def _left(self, call: _Call[K, V], answer: asyncio.Future[Any]) -> None:
        """The call has its answer, or was cancelled, or failed with another of its batches."""
        for batch in call.pending:
            batch.calls.discard(call)
            if answer.cancelled() and not batch.calls and batch.task is not None and not batch.task.done():
                self._forget(batch)  # who asks from now on must not be cancelled with it
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
