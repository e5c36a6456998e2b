"""Attempts that all instances count together, where they share a Redis."""

from __future__ import annotations

import time
from dataclasses import dataclass

from api.attempts import Attempts
from api.errors import RateLimited
from api.rates.counts import SharedCounts
from api.rates.windows import Rate, Window


@dataclass(frozen=True, slots=True)
class Taken:
    """One attempt that was counted: in a window that is shared, or at a moment of this process's own."""

    window: Window | None
    moment: float


class SharedAttempts:
    """As `Attempts`, with its counts in fixed windows in Redis; in this process where there is none, or it is down."""

    def __init__(self, name: str, rate: str, shared: SharedCounts | None) -> None:
        self._name, self._shared = name, shared
        self._own = Attempts(rate)
        parsed = Rate.parse(rate)
        assert parsed is not None
        self._rate = parsed

    async def take(self, key: str) -> Taken:
        """Count an attempt; what it returns gives it back. Raises RateLimited where there are too many already."""
        if self._shared is not None:
            now = time.time()
            window = Window.of(f"{self._name}:{key}", self._rate, now)
            total = await self._shared.incr_shared(window.name, self._rate.seconds, 1)
            if total is not None:
                if total > self._rate.amount:
                    await self._shared.incr_shared(window.name, self._rate.seconds, -1)
                    raise RateLimited(window.closes - now)
                return Taken(window, 0.0)
        return Taken(None, self._own.take(key))

    async def give_back(self, key: str, taken: Taken) -> None:
        """Make an attempt uncounted: it was none."""
        if taken.window is None:
            self._own.give_back(key, taken.moment)
        elif self._shared is not None:
            await self._shared.incr_shared(taken.window.name, self._rate.seconds, -1)
