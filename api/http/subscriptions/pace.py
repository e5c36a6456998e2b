"""How many events a client is sent within a second."""

from __future__ import annotations

import asyncio
import math
import time


class Pace:
    """The pace of one subscription: after `most` events it waits until a second has passed since the first of them.

    0 is for no limit. The clock is only looked at once in `most` events.
    """

    __slots__ = ("_left", "_most", "_next")

    def __init__(self, most: int) -> None:
        self._most = most or math.inf
        self._left: float = 0
        self._next = 0.0
        """When the first of the next `most` may go."""

    def allows(self) -> bool:
        """Whether an event may go now."""
        if not self._left:
            now = time.monotonic()
            if now < self._next:
                return False
            self._left, self._next = self._most, now + 1
        return True

    def go(self) -> None:
        """One that may go does."""
        self._left -= 1

    async def wait(self) -> None:
        """Wait until an event may go, which then does."""
        while not self.allows():  # noqa: ASYNC110  it waits for the time; a timer may be a moment early
            await asyncio.sleep(self._next - time.monotonic())
        self.go()
