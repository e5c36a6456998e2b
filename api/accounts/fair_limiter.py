"""A limit on what runs at the same time, under which the waiting parties take turns."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator

from api.errors import RateLimited


class FairLimiter:
    """Lets `running` blocks run at the same time, and `waiting` more wait, at most `each` of one party.

    Waiting parties take turns, so that a party with many blocks delays the others by one block at a time. `seconds` is
    about what a block takes: refused callers are told when to try again.
    """

    def __init__(self, running: int, waiting: int, each: int, seconds: float) -> None:
        self._free = running
        self._running, self._waiting, self._each, self._seconds = running, waiting, each, seconds
        self._queues: OrderedDict[str | None, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """The number of waiting blocks."""
        return sum(map(len, self._queues.values()))

    @contextlib.asynccontextmanager
    async def turn(self, party: str | None) -> AsyncIterator[None]:
        """Wait for a turn, and hold it for the block. Raises RateLimited where too many wait already."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(party)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, party: str | None) -> None:
        queue = self._queues.get(party, ())
        if self.waiting >= self._waiting or len(queue) >= self._each:
            raise RateLimited(self.waiting * self._seconds / self._running)
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(party, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the turn had been given to it already
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._queues:
            party, queue = next(iter(self._queues.items()))
            turn = queue.popleft()
            if queue:
                self._queues.move_to_end(party)
            else:
                del self._queues[party]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
