"""Counts of recent attempts: in the memory of this process, or in a Redis that several instances share."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from api.errors import RateLimited
from api.rates.counts import SharedCounts
from api.rates.windows import Rate, Window

KEPT: Final = 50_000
"""The most keys that are counted; beyond that, the ones without attempts for longest are forgotten."""


class Attempts:
    """Counts attempts by key in a moving window, and refuses those beyond the rate.

    The memory storage of `limits` isn't used, since it walks all its keys for each attempt and never drops one.
    Refused attempts don't count, so the window moves on whatever an attacker does.
    """

    def __init__(self, rate: Rate) -> None:
        self._most, self._window = rate.amount, float(rate.seconds)
        self._times: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def take(self, key: Hashable) -> float:
        """Count an attempt. The result is needed to give it back. Raises RateLimited where there are too many
        already."""
        now = time.monotonic()
        times = self._times.setdefault(key, deque())
        self._times.move_to_end(key)
        while times and times[0] <= now - self._window:
            times.popleft()
        if len(times) >= self._most:
            raise RateLimited(times[0] + self._window - now)
        times.append(now)
        self._forget_the_quiet(now)
        return now

    def give_back(self, key: Hashable, taken: float) -> None:
        """Take an attempt back, as if it had not been made."""
        times = self._times.get(key)
        if times is not None and taken in times:
            times.remove(taken)

    def __len__(self) -> int:
        return len(self._times)

    def _forget_the_quiet(self, now: float) -> None:
        """Drop up to two of the keys without attempts for longest. One key is added at a time, so the rest goes
        later."""
        for _ in range(2):
            key, times = next(iter(self._times.items()))
            quiet = not times or times[-1] <= now - self._window
            if not quiet and len(self._times) <= KEPT:
                return
            del self._times[key]


@dataclass(frozen=True, slots=True)
class CountedAttempt:
    """One counted attempt: in a window in Redis, or at a moment in the memory of this process."""

    window: Window | None
    moment: float


class SharedAttempts:
    """As `Attempts`, but counted in fixed windows in Redis; in this process where there is no Redis, or it is down."""

    def __init__(self, name: str, rate: str, shared: SharedCounts | None) -> None:
        self._name, self._shared = name, shared
        parsed = Rate.parse(rate)
        assert parsed is not None
        self._rate, self._own = parsed, Attempts(parsed)

    async def take(self, key: str) -> CountedAttempt:
        """Count an attempt. The result is needed to give it back. Raises RateLimited where there are too many
        already."""
        if self._shared is not None:
            now = time.time()
            window = Window.of(f"{self._name}:{key}", self._rate, now)
            total = await self._shared.incr_shared(window.name, self._rate.seconds, 1)
            if total is not None:
                if total > self._rate.amount:
                    await self._shared.incr_shared(window.name, self._rate.seconds, -1)
                    raise RateLimited(window.closes - now)
                return CountedAttempt(window, 0.0)
        return CountedAttempt(None, self._own.take(key))

    async def give_back(self, key: str, taken: CountedAttempt) -> None:
        """Take an attempt back, as if it had not been made."""
        if taken.window is None:
            self._own.give_back(key, taken.moment)
        elif self._shared is not None:
            await self._shared.incr_shared(taken.window.name, self._rate.seconds, -1)
