"""Reads of different requests go out together: the busier the process, the fewer statements a request costs.

A read goes at once while fewer than `AT_ONCE` of its kind are under way. Otherwise it waits for one of them to come
back, and then goes with all others of its kind that wait, each key once. So nothing is held back where nobody else
asks, and a read only joins what has not been sent: whoever asks after a write was acknowledged sees it.

What a kind is, the caller says: reads of one kind must be answered alike by one statement for all of their keys, and be
the same for everybody. What comes back is shared, and must not be changed.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.errors import StatementTimedOut, StoreUnavailable, as_app_error
from api.log import current_cost

AT_ONCE: Final = 2
"""Reads of a kind that are under way before others wait: with one, the store would idle while an answer is decoded."""
PATIENCE: Final = 0.1
"""Seconds that a read waits for those before it; then it goes, however slow they are."""
MOST_KEYS: Final = 1000
"""Keys that go together. A single read may have more."""

Send = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]
"""Reads distinct keys: one value a key, in their order."""


@dataclass(slots=True)
class Sharing:
    """What was shared since the process started."""

    reads: int = 0
    """Reads that were asked for."""
    sent: int = 0
    """Reads that went to a store."""
    keys_saved: int = 0
    """Keys that somebody else had asked for in the same read."""
    waited: float = 0.0
    """Seconds that reads have waited before they were sent, all together."""


class _Waiter:
    """A read that waits to be sent, and then for its flight to land."""

    __slots__ = ("answer", "context", "flight", "keys", "send", "since")

    def __init__(self, keys: Sequence[Any], send: Send) -> None:
        self.keys = keys
        self.send = send
        self.since = time.monotonic()
        self.context = contextvars.copy_context()
        self.answer: asyncio.Future[Sequence[Any]] = asyncio.get_running_loop().create_future()
        self.flight: _Flight | None = None


class _Flight:
    """Reads that go together, as the first of them: what the statement costs is counted there."""

    __slots__ = ("task", "waiters")

    def __init__(self, waiters: list[_Waiter]) -> None:
        self.waiters = waiters
        self.task: asyncio.Task[None] | None = None


class _Kind:
    """Reads that may go together: how many are under way, and which wait, the first one in front."""

    __slots__ = ("timer", "under_way", "waiting")

    def __init__(self) -> None:
        self.under_way = 0
        self.waiting: deque[_Waiter] = deque()
        self.timer: asyncio.TimerHandle | None = None


class Coalescer:
    """Sends the reads of a process, those of a kind together where they would queue up."""

    def __init__(self) -> None:
        self._kinds: dict[Hashable, _Kind] = {}
        self.sharing = Sharing()

    async def read(self, name: Hashable, keys: Sequence[Any], send: Send) -> Sequence[Any]:
        """The values of these distinct keys, in their order, by a statement that is sent from now on.

        `name` is that of the kind. Raises what `send` raises of these keys, whatever it raises of others'.
        """
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._kinds[name] = _Kind()
        self.sharing.reads += 1
        if kind.under_way >= AT_ONCE or kind.waiting:
            return await self._wait(name, kind, _Waiter(keys, send))
        kind.under_way += 1
        self.sharing.sent += 1
        try:
            return await send(keys)
        finally:
            self._landed(name, kind)

    async def _wait(self, name: Hashable, kind: _Kind, waiter: _Waiter) -> Sequence[Any]:
        kind.waiting.append(waiter)
        if kind.timer is None:
            kind.timer = asyncio.get_running_loop().call_later(PATIENCE, self._take_off, name, kind)
        try:
            return await waiter.answer
        except asyncio.CancelledError:
            if waiter.flight is None:
                kind.waiting.remove(waiter)
                self._tidy(name, kind)
            else:
                waiter.flight.waiters.remove(waiter)
                if not waiter.flight.waiters and waiter.flight.task is not None:
                    waiter.flight.task.cancel()
            raise

    def _landed(self, name: Hashable, kind: _Kind) -> None:
        kind.under_way -= 1
        if kind.waiting:
            self._take_off(name, kind)
        else:
            self._tidy(name, kind)

    def _tidy(self, name: Hashable, kind: _Kind) -> None:
        """Forget a kind that nobody reads, and a timer that nobody needs."""
        if kind.waiting:
            return
        if kind.timer is not None:
            kind.timer.cancel()
            kind.timer = None
        if not kind.under_way:
            self._kinds.pop(name, None)

    def _take_off(self, name: Hashable, kind: _Kind) -> None:
        """Send those that wait, the first ones where they are too many for one flight."""
        if kind.timer is not None:
            kind.timer.cancel()
            kind.timer = None
        waiters: list[_Waiter] = []
        keys: dict[Any, None] = {}
        asked = 0
        while kind.waiting and (not waiters or len(keys) + len(kind.waiting[0].keys) <= MOST_KEYS):
            waiter = kind.waiting.popleft()
            waiters.append(waiter)
            keys.update(dict.fromkeys(waiter.keys))
            asked += len(waiter.keys)
        now = time.monotonic()
        self.sharing.sent += 1
        self.sharing.keys_saved += asked - len(keys)
        self.sharing.waited += sum(now - waiter.since for waiter in waiters)
        flight = _Flight(waiters)
        for waiter in waiters:
            waiter.flight = flight
        kind.under_way += 1
        first, loop = waiters[0], asyncio.get_running_loop()
        flight.task = loop.create_task(self._fly(name, kind, flight, list(keys)), context=first.context)
        for other in waiters[1:]:
            if (cost := other.context.get(current_cost)) is not None:
                cost.joined += 1
        if kind.waiting:
            kind.timer = loop.call_later(PATIENCE, self._take_off, name, kind)

    async def _fly(self, name: Hashable, kind: _Kind, flight: _Flight, keys: Sequence[Any]) -> None:
        try:
            values = await flight.waiters[0].send(keys)
            by_key = dict(zip(keys, values, strict=True))
        except Exception as error:
            await self._failed(flight, error)
        else:
            for waiter in flight.waiters:
                if not waiter.answer.done():
                    waiter.answer.set_result([by_key[key] for key in waiter.keys])
        finally:
            self._landed(name, kind)

    async def _failed(self, flight: _Flight, error: Exception) -> None:
        """Tell those whom it concerns: everybody, where it is the store; else each asks once more, for itself."""
        if len(flight.waiters) > 1 and not _is_down(error):
            await asyncio.gather(*(_alone(waiter) for waiter in list(flight.waiters)))
            return
        for waiter in flight.waiters:
            _fail(waiter, error)


async def _alone(waiter: _Waiter) -> None:
    try:
        values = await waiter.send(waiter.keys)
    except Exception as error:
        _fail(waiter, error)
    else:
        if not waiter.answer.done():
            waiter.answer.set_result(values)


def _fail(waiter: _Waiter, error: Exception) -> None:
    if not waiter.answer.done():
        waiter.answer.set_exception(error)


def _is_down(error: Exception) -> bool:
    """Whether asking for less would help nobody."""
    known = as_app_error(error)
    return isinstance(known, StoreUnavailable) and not isinstance(known, StatementTimedOut)
