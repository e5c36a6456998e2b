"""The queue of a connection pool: of those who wait, whoever's request has been under way longest gets the next one.

A request that asks several times would else wait at the end of the line each time, and take a multiple of what a
newcomer is refused for.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from heapq import heappop, heappush
from typing import TypeVar

from sqlalchemy.util import await_
from sqlalchemy.util.queue import Empty, Full, QueueCommon

from api.log import current_cost

T = TypeVar("T")


class OldestFirst(QueueCommon[T]):
    """What SQLAlchemy's pools need of a queue, for one event loop.

    What comes back goes straight to the oldest of those who wait, so that nobody who comes by takes it meanwhile. What
    no request asks for goes first.
    """

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:
        self.maxsize, self.use_lifo = maxsize, use_lifo
        self._idle: deque[T] = deque()
        self._waiting: list[tuple[float, int, asyncio.Future[T]]] = []
        self._numbers = itertools.count()

    def empty(self) -> bool:
        return not self._idle

    def full(self) -> bool:
        return 0 < self.maxsize <= len(self._idle)

    def qsize(self) -> int:
        return len(self._idle)

    def put_nowait(self, item: T) -> None:
        """Raises Full where nobody waits, and there are as many as may be idle."""
        if self._hand_over(item):
            return
        if self.full():
            raise Full
        self._idle.append(item)

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        self.put_nowait(item)  # pools never wait for this

    def get_nowait(self) -> T:
        """Raises Empty where none is idle."""
        if not self._idle:
            raise Empty
        return self._idle.pop() if self.use_lifo else self._idle.popleft()

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Raises Empty where none is idle, and none has come back after so many seconds."""
        if self._idle or not block:
            return self.get_nowait()
        return await_(self._next(timeout))

    async def _next(self, seconds: float | None) -> T:
        place: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        cost = current_cost.get()
        heappush(self._waiting, (0.0 if cost is None else cost.began, next(self._numbers), place))
        try:
            async with asyncio.timeout(seconds):
                return await self._handed(place)
        except TimeoutError:
            raise Empty from None

    async def _handed(self, place: asyncio.Future[T]) -> T:
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # it came at the same moment
                item = place.result()
                if not self._hand_over(item):
                    self._idle.append(item)
            raise

    def _hand_over(self, item: T) -> bool:
        while self._waiting:
            *_, place = heappop(self._waiting)
            if not place.done():
                place.set_result(item)
                return True
        return False
