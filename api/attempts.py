"""How often something was tried of late: moving windows of rates such as `10/minute`, in this process's memory."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Final

from limits import parse

from api.errors import RateLimited

KEPT: Final = 50_000
"""Keys that are counted; beyond them the ones that were quiet for longest are forgotten."""


class Attempts:
    """Counts attempts by key, and refuses one more than the rate allows.

    Not the memory storage of `limits`: that walks all its keys in a thread for each attempt and keeps every key.
    Attempts that were refused don't count, so the window moves on whatever an attacker does.
    """

    def __init__(self, rate: str) -> None:
        """`rate` as in `10/minute` or `100 per 5 minutes`. Raises ValueError."""
        item = parse(rate)
        self._most, self._window = item.amount, float(item.get_expiry())
        self._times: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def take(self, key: Hashable) -> float:
        """Count an attempt; what it returns gives it back. Raises RateLimited where there are too many already."""
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
        """Make an attempt uncounted: it was none."""
        times = self._times.get(key)
        if times is not None and taken in times:
            times.remove(taken)

    def clear(self, key: Hashable) -> None:
        """Forget all attempts of this key."""
        self._times.pop(key, None)

    def __len__(self) -> int:
        return len(self._times)

    def _forget_the_quiet(self, now: float) -> None:
        """The two quietest keys at most: one is added at a time, so the rest goes with the next attempts."""
        for _ in range(2):
            key, times = next(iter(self._times.items()))
            quiet = not times or times[-1] <= now - self._window
            if not quiet and len(self._times) <= KEPT:
                return
            del self._times[key]
