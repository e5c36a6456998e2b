"""Circuit breakers, one for each store: while a store is down or frozen, calls to it are refused in microseconds.

While a breaker is closed, every call passes. It opens after several failures in a row within a window, or when the
store is silent: calls are waiting, none has ended for a while, and a probe over another connection gets no answer
either. So a frozen store is noticed long before the deadline of a statement, and a slow statement is not mistaken for a
frozen store. While it is open, calls are refused, running ones are ended, and regular probes in the background close it
again. Requests never serve as probes, so there is no "half open" state.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final

from api.background import in_background
from api.errors import StoreUnavailable
from api.log import logger
from api.stores.breakers.limits import Limits
from api.stores.breakers.line import Line

_bypassed: ContextVar[bool] = ContextVar("breakers_bypassed", default=False)
TICKS: Final = 4
"""How often silence is checked during the time that a store may be silent."""


@contextlib.contextmanager
def bypassed() -> Iterator[None]:
    """Let the calls of this block pass open breakers, for health checks: they ask for the state of the store itself."""
    token = _bypassed.set(True)
    try:
        yield
    finally:
        _bypassed.reset(token)


class Breaker:
    """The breaker of one store, within one event loop.

    `probe` asks the store whether it is alive, and raises where it isn't. `is_failure` says whether an error means that
    the store could not be reached; None where the error doesn't tell. Calls go through `call`. What doesn't go through
    it is reported by `busy` (whether anything waits for the store) and `heard`. `hang_up` ends what is still waiting
    when the store turns out to be dead. `line` are those who wait for a connection.
    """

    def __init__(self, store: str, limits: Limits, is_failure: Callable[[Exception], bool | None]) -> None:
        self.store = store
        self.limits = limits
        self.is_failure = is_failure
        self.probe: Callable[[], Awaitable[Any]] | None = None
        self.busy: Callable[[], bool] = lambda: False
        self.hang_up: Callable[[], None] = lambda: None
        self.is_open = False
        self.line = Line()
        self.last_heard = time.monotonic()
        self._calls: set[_Call] = set()
        self._failures = 0
        self._first_failure = 0.0
        self._opened = asyncio.Event()

    def check(self) -> None:
        """Raise StoreUnavailable while the breaker is open."""
        if self.is_open and not _bypassed.get():
            raise StoreUnavailable(self.store)

    def call(self) -> _Call:
        """A context for one call to the store.

        Raises StoreUnavailable where the breaker is open, or opens while the call is waiting for the store.
        """
        return _Call(self)

    def heard(self) -> None:
        """Note that the store has just answered, or that nothing was waiting for it."""
        self.last_heard = time.monotonic()

    def queue_time(self, now: float) -> float:
        """Seconds that one will wait for a connection who comes at this moment of `time.monotonic`."""
        return self.line.waits(now, self.last_heard)

    def _answered(self) -> None:
        self.last_heard = time.monotonic()
        self._failures = 0
        if self.is_open:
            self._close()

    def failed(self) -> None:
        """Note that the store could not be reached, or stopped answering."""
        now = time.monotonic()
        if now - self._first_failure > self.limits.window:
            self._failures = 0
        if self._failures == 0:
            self._first_failure = now
        self._failures += 1
        if self._failures >= self.limits.failures:
            self._open(f"{self._failures} failures in a row")

    def _open(self, reason: str) -> None:
        if not self.is_open:
            self.is_open = True
            self._opened.set()
            logger.error("store cut off", store=self.store, reason=reason)

    def _close(self) -> None:
        self.is_open = False
        self._opened.clear()
        logger.warning("store back", store=self.store)

    def _end_calls(self) -> None:
        """End the calls that wait for a dead store."""
        for call in self._calls:
            call.give_up()
        self.hang_up()

    def watching(self) -> AbstractAsyncContextManager[None]:
        """Check for silence, and probe while the breaker is open, as long as the block runs."""
        return in_background(self._watch())

    async def _watch(self) -> None:
        while True:
            if not self.is_open:
                await self._watch_closed()
            elif await self.answers():
                self._answered()
            else:
                if self.is_open:
                    self._end_calls()
                await asyncio.sleep(self.limits.probe_interval)

    async def _watch_closed(self) -> None:
        """Wait for a moment, or until the breaker opens; then check for silence."""
        tick, before = self.limits.patience / TICKS, time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(tick):
                await self._opened.wait()
                return
        now = time.monotonic()
        if now - before > 2 * tick or not (self._calls or self.busy()):
            self.last_heard = now  # this process was suspended, or nothing waits for the store
        elif now - self.last_heard > self.limits.patience and not await self.answers():
            self._open(f"silent for {self.limits.patience:g} s")
            self._end_calls()

    async def answers(self) -> bool:
        """Whether the store answers a probe in time."""
        assert self.probe is not None
        try:
            async with asyncio.timeout(self.limits.probe_timeout):
                await self.probe()
        except Exception as error:  # whatever the error is, the store isn't usable
            logger.debug("probe failed", store=self.store, cause=repr(error))
            return False
        self.last_heard = time.monotonic()
        return True


class _Call:
    """One call to a store, while it lasts."""

    __slots__ = ("_breaker", "_bypassing", "_cancelling", "_given_up", "_task")

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._bypassing = _bypassed.get()
        self._cancelling = 0
        self._given_up = False
        self._task: asyncio.Task[Any] | None = None

    def give_up(self) -> None:
        """End the call, unless it is a health check's: that has its own limit, and reports how the store fails."""
        if self._task is not None and not self._given_up and not self._bypassing:
            self._given_up = True
            self._task.cancel()

    def __enter__(self) -> None:
        breaker = self._breaker
        if breaker.is_open and not self._bypassing:
            raise StoreUnavailable(breaker.store)
        if not breaker._calls:
            breaker.last_heard = time.monotonic()
        self._task = asyncio.current_task()
        assert self._task is not None
        self._cancelling = self._task.cancelling()
        breaker._calls.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        breaker = self._breaker
        breaker._calls.discard(self)
        if self._given_up:
            assert self._task is not None
            # as in asyncio.timeout: a cancellation by somebody else must go on
            if self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
                raise StoreUnavailable(breaker.store) from error
        elif error is None:
            breaker._answered()
        elif isinstance(error, Exception):
            is_failure = breaker.is_failure(error)
            if is_failure:
                breaker.failed()
            elif is_failure is not None:
                breaker._answered()
