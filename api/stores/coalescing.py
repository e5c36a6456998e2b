"""Reads of different requests go out together: the busier the process, the fewer statements a request costs.

A read of the only reader goes at once. Where there are others, it waits for those that ask in the same turn of the
event loop, and while `AT_ONCE` of its kind are under way, for one of them to come back; then it goes with all others of
its kind that wait, each key once. So nothing is held back where nobody else asks, and a read only joins what has not
been sent: whoever asks after a write was acknowledged sees it.

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
from api.stores.calls import Calls, asking, together

AT_ONCE: Final = 2
"""Reads of a kind that are under way before others wait: with one, the store would idle while an answer is decoded."""
PATIENCE: Final = 0.1
"""Seconds that a read waits for those before it; then it goes, however slow they are."""
MOST_KEYS: Final = 1000
"""Keys that go together. A single read may have more."""
MOST_BYTES: Final = 4_000_000
"""What goes together may have about so many, the question and the answer: the loop stands still while it is decoded."""

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
    """A read that waits to be sent, and then for its flight to land.

    `answer` are its values, or None where it is to ask by itself: nobody came along (then there is no `flight`), or its
    flight has failed.
    """

    __slots__ = ("answer", "context", "flight", "keys", "send", "since")

    def __init__(self, keys: Sequence[Any], send: Send) -> None:
        self.keys = keys
        self.send = send
        self.since = time.monotonic()
        self.context = contextvars.copy_context()
        self.answer: asyncio.Future[Sequence[Any] | None] = asyncio.get_running_loop().create_future()
        self.flight: _Flight | None = None


class _Flight:
    """Reads that go together, as the first of them: what the statement costs is counted there.

    `waiters` are those that still wait; it is `shared` where there were several when it took off.
    """

    __slots__ = ("has_begun", "shared", "task", "waiters")

    def __init__(self, waiters: list[_Waiter]) -> None:
        self.waiters = waiters
        self.shared = len(waiters) > 1
        self.has_begun = False
        self.task: asyncio.Task[None] | None = None

    def land(self, keys: Sequence[Any], values: Sequence[Any]) -> None:
        """Give everybody the values of their keys."""
        by_key = dict(zip(keys, values, strict=True))
        for waiter in self.waiters:
            if not waiter.answer.done():
                waiter.answer.set_result([by_key[key] for key in waiter.keys])

    def fail(self, error: Exception) -> None:
        """Have each ask once more, alone. Where the store is down, or only one had asked, they get the error."""
        again = self.shared and not _is_down(error)
        for waiter in self.waiters:
            if waiter.answer.done():
                continue
            if again:
                waiter.answer.set_result(None)
            else:
                waiter.answer.set_exception(error)

    def leave(self, waiter: _Waiter) -> None:
        """Go on without one of them, unless it was the last."""
        self.waiters.remove(waiter)
        # a task that is cancelled before it begins would never say that it has landed
        if not self.waiters and self.has_begun and self.task is not None:
            self.task.cancel()


class _Kind:
    """Reads that may go together: how many are under way, and which wait, the first one in front.

    `size` is about how many bytes a key and its value have.
    """

    __slots__ = ("size", "timer", "under_way", "waiting")

    def __init__(self, size: int) -> None:
        self.size = size
        self.under_way = 0
        self.waiting: deque[_Waiter] = deque()
        self.timer: asyncio.Handle | None = None

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Coalescer:
    """Sends the reads of a process, those of a kind together where they would queue up.

    `readers` are the operations that are being executed, all of which may ask for something.
    """

    def __init__(self, calls: Calls | None = None) -> None:
        self._calls: Calls | None = None
        if calls is not None:
            calls.hooks.append(lambda observed: setattr(self, "_calls", calls if observed else None))
        self._kinds: dict[Hashable, _Kind] = {}
        self.readers = 0
        self.sharing = Sharing()

    async def read(self, name: Hashable, keys: Sequence[Any], send: Send, size: int = 1) -> Sequence[Any]:
        """The values of these distinct keys, in their order, by a statement that is sent from now on.

        `name` is that of the kind, and `size` about how many bytes each of its keys has with its value. Raises what
        `send` raises of these keys, whatever it raises of others'.
        """
        self.sharing.reads += 1
        kind = self._kind(name, size)
        if self.readers > 1 or kind.under_way >= AT_ONCE or kind.waiting:
            waiter = _Waiter(keys, send)
            values = await self._wait(name, kind, waiter)
            if values is not None:
                return values
            if waiter.flight is not None:  # one that goes alone counts as under way already
                kind = self._kind(name, size)  # it may have been forgotten meanwhile
                kind.under_way += 1
        else:
            kind.under_way += 1
        self.sharing.sent += 1
        try:
            return await send(keys)
        finally:
            self._landed(name, kind)

    def _kind(self, name: Hashable, size: int) -> _Kind:
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._kinds[name] = _Kind(size)
        return kind

    async def _wait(self, name: Hashable, kind: _Kind, waiter: _Waiter) -> Sequence[Any] | None:
        kind.waiting.append(waiter)
        if kind.timer is None:
            if kind.under_way < AT_ONCE:
                kind.timer = asyncio.get_running_loop().call_soon(self._take_off, name, kind)
            else:
                self._start_timer(name, kind)
        try:
            return await waiter.answer
        except asyncio.CancelledError:
            if waiter.flight is not None:
                waiter.flight.leave(waiter)
            elif waiter.answer.done() and not waiter.answer.cancelled():  # it was just let go alone
                self._landed(name, kind)
            else:
                kind.waiting.remove(waiter)
                if not kind.waiting:
                    self._tidy(name, kind)
            raise

    def _start_timer(self, name: Hashable, kind: _Kind) -> None:
        """See to it that the first one doesn't wait any longer than it has to."""
        left = kind.waiting[0].since + PATIENCE - time.monotonic()
        kind.timer = asyncio.get_running_loop().call_later(left, self._take_off, name, kind)

    def _landed(self, name: Hashable, kind: _Kind) -> None:
        kind.under_way -= 1
        if kind.waiting:
            self._take_off(name, kind)
        else:
            self._tidy(name, kind)

    def _tidy(self, name: Hashable, kind: _Kind) -> None:
        """Stop a timer that nobody needs, and forget a kind that nobody reads."""
        kind.stop_timer()
        if not kind.under_way:
            del self._kinds[name]

    def _take_off(self, name: Hashable, kind: _Kind) -> None:
        """Send those that wait, the first ones where they are too many for one flight."""
        kind.stop_timer()
        waiters: list[_Waiter] = []
        keys: dict[Any, None] = {}
        asked, most = 0, min(MOST_KEYS, MOST_BYTES // kind.size)
        while kind.waiting:
            waiter = kind.waiting[0]
            others = dict.fromkeys(key for key in waiter.keys if key not in keys)
            if waiters and len(keys) + len(others) > most:
                break
            keys |= others
            asked += len(waiter.keys)
            waiters.append(kind.waiting.popleft())
        now = time.monotonic()
        self.sharing.waited += sum(now - waiter.since for waiter in waiters)
        kind.under_way += 1
        if len(waiters) == 1 and not kind.waiting and not waiters[0].answer.done():
            waiters[0].answer.set_result(None)
            return
        self.sharing.sent += 1
        self.sharing.keys_saved += asked - len(keys)
        flight = _Flight(waiters)
        for waiter in waiters:
            waiter.flight = flight
        if self._calls is not None:
            _tell(self._calls, waiters, len(keys))
        flying = self._fly(name, kind, flight, list(keys))
        flight.task = asyncio.get_running_loop().create_task(flying, context=waiters[0].context)
        for other in waiters[1:]:
            if (cost := other.context.get(current_cost)) is not None:
                cost.joined += 1
        if kind.waiting:
            self._start_timer(name, kind)

    async def _fly(self, name: Hashable, kind: _Kind, flight: _Flight, keys: Sequence[Any]) -> None:
        flight.has_begun = True
        try:
            if flight.waiters:
                flight.land(keys, await flight.waiters[0].send(keys))
        except Exception as error:
            flight.fail(error)
        except BaseException:  # the process ends
            for waiter in flight.waiters:
                waiter.answer.cancel()
            raise
        finally:
            self._landed(name, kind)


def _tell(calls: Calls, waiters: Sequence[_Waiter], keys: int) -> None:
    """Say who is read for: the statement has all of them as its askers."""
    askers = tuple(dict.fromkeys(asker for waiter in waiters for asker in waiter.context.get(asking, ())))
    context = waiters[0].context
    context.run(asking.set, askers)
    if len(waiters) > 1:  # else the batch says how many keys it has
        context.run(together.set, (keys, len(waiters)))
    if len(askers) > 1:
        calls.share(askers)


def _is_down(error: Exception) -> bool:
    """Whether asking for less would help nobody."""
    known = as_app_error(error)
    return isinstance(known, StoreUnavailable) and not isinstance(known, StatementTimedOut)
