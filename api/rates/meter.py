"""Quotas of cost: requests are charged to the account that sends them, or to the address where nobody is signed in.

The price of an operation is charged before it runs, and what it didn't use is given back afterwards.
Headers are those of draft-ietf-httpapi-ratelimit-headers-10, `RateLimit-Policy` and `RateLimit`; a quota counts points
of cost, not requests.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from api.bounded_dict import BoundedDict
from api.config.settings import Settings
from api.errors import RateLimited
from api.rates.addresses import site
from api.rates.counts import MemoryCounts, SharedCounts
from api.rates.windows import Rate, Window

LEAST: Final = 1
"""The least points of a request: one that runs nothing, or whose operation is refused for lack of points."""
POINT_OF_BYTES: Final = 4096
"""So many bytes of a request cost a point, since they are read and parsed even if the request is refused."""
REFUSED_FOR: Final = 1.0
"""The longest, in seconds, that an exhausted key is refused without counting: points may be given back meanwhile."""
OWED_FOR: Final = 0.05
"""Seconds after which points are given back to Redis, if no charge to the same count has taken them along."""
REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Quota:
    """A rate, and the name by which headers and counts know it."""

    name: str
    rate: Rate


class Meters:
    """The quotas of a process."""

    def __init__(self, settings: Settings, counts: MemoryCounts | SharedCounts) -> None:
        self.counts = counts
        self._user = _quota("user", settings.rate_limit_user)
        self._address = _quota("address", settings.rate_limit_address)
        self._exhausted = BoundedDict[str, float](REMEMBERED)
        self._owed: dict[str, tuple[int, int]] = {}
        self._returning: asyncio.Task[None] | None = None

    def of(self, account: UUID | None, address: str | None) -> Meter | None:
        """The meter of an account, or of an address where there is none.

        None where nothing limits it, or it has no address (a Unix socket).
        """
        if account is not None:
            return Meter(self, self._user, f"user:{account}") if self._user else None
        return Meter(self, self._address, f"address:{site(address)}") if self._address and address else None

    def exhausted_until(self, key: str) -> float:
        """Until when a key has nothing left, as far as this process knows; 0 where it may have something."""
        return self._exhausted.get(key, 0.0)

    def note_exhausted(self, key: str, until: float) -> None:
        """Refuse this key without counting until that time."""
        self._exhausted[key] = until

    async def count(self, window: Window, rate: Rate, cost: int) -> int:
        """Charge a count for an operation, less the points still owed to it. Returns the new count."""
        owed, _ = self._owed.pop(window.name, (0, 0))
        return await self.counts.incr(window.name, rate.seconds, cost - owed)

    async def give_back(self, window: Window, rate: Rate, amount: int) -> None:
        """Give points back to a count: in Redis with the next charge, or a moment later."""
        if isinstance(self.counts, MemoryCounts):
            await self.counts.incr(window.name, rate.seconds, -amount)
            return
        owed, _ = self._owed.get(window.name, (0, 0))
        self._owed[window.name] = owed + amount, rate.seconds
        if self._returning is None or self._returning.done():
            self._returning = asyncio.create_task(self._return_owed(OWED_FOR))

    async def close(self) -> None:
        """Give back all points that are owed, and close the connections."""
        if self._returning is not None:
            self._returning.cancel()
        await self._return_owed(0)
        await self.counts.close()

    async def _return_owed(self, delay: float) -> None:
        await asyncio.sleep(delay)
        while self._owed:
            name, (amount, seconds) = self._owed.popitem()
            await self.counts.incr(name, seconds, -amount)


class Meter:
    """The quota that one request is charged to. The operations of a batch share it."""

    def __init__(self, meters: Meters, quota: _Quota, key: str) -> None:
        self._meters, self._quota, self._key = meters, quota, key
        self._window: Window | None = None
        self._used = 0

    def require(self) -> None:
        """Raise RateLimited where certainly nothing is left. Called before anything else is done."""
        now = time.time()
        if now < self._meters.exhausted_until(self._key):
            self._window, self._used = Window.of(self._key, self._quota.rate, now), self._quota.rate.amount
            raise self._refusal(now)

    async def charge(self, cost: int) -> int:
        """Charge the price of an operation, and return what was charged. Raises RateLimited, and then charges `LEAST`.

        An operation whose price is above the whole quota is charged all of it.
        """
        now, rate = time.time(), self._quota.rate
        cost = min(max(cost, LEAST), rate.amount)
        window = self._window = Window.of(self._key, rate, now)
        self._used = await self._meters.count(window, rate, cost)
        if self._used > rate.amount:
            self._used -= cost - LEAST
            await self._meters.give_back(window, rate, cost - LEAST)
            if self._used >= rate.amount:
                self._meters.note_exhausted(self._key, min(window.closes, now + REFUSED_FOR))
            raise self._refusal(now)
        return cost

    def charge_at_once(self, cost: int) -> bool:
        """As `charge`, where counts are in this process's memory. False: nothing was charged, as they aren't, or as
        there is nothing left."""
        counts, rate = self._meters.counts, self._quota.rate
        if not isinstance(counts, MemoryCounts):
            return False
        cost = min(max(cost, LEAST), rate.amount)
        now, window = time.time(), self._window
        if window is None or now >= window.closes:
            window = Window.of(self._key, rate, now)
        used = counts.add(window.name, rate.seconds, cost)
        if used > rate.amount:
            counts.add(window.name, rate.seconds, -cost)
            return False
        self._window, self._used = window, used
        return True

    async def settle(self, charged: int, actual: int) -> None:
        """Give back what an operation was charged above its actual cost."""
        unused = charged - max(actual, LEAST)
        if unused > 0 and self._window is not None:
            self._used -= unused
            await self._meters.give_back(self._window, self._quota.rate, unused)

    async def finish(self, size: int) -> None:
        """Charge what a request has cost beside its operations: for its bytes (`size`), and `LEAST` if nothing was
        charged.

        It is charged even if nothing is left; the next request is then refused.
        """
        points = size // POINT_OF_BYTES + (LEAST if self._window is None else 0)
        if not points:
            return
        now, rate = time.time(), self._quota.rate
        self._window = Window.of(self._key, rate, now)
        self._used = await self._meters.count(self._window, rate, points)
        if self._used >= rate.amount:
            self._meters.note_exhausted(self._key, min(self._window.closes, now + REFUSED_FOR))

    def headers(self) -> dict[str, str]:
        """The headers about the quota and what is left of it; none where nothing was charged."""
        if self._window is None:
            return {}
        name, rate = self._quota.name, self._quota.rate
        left, seconds = max(rate.amount - self._used, 0), max(math.ceil(self._window.closes - time.time()), 0)
        return {
            "ratelimit-policy": f'"{name}";q={rate.amount};w={rate.seconds}',
            "ratelimit": f'"{name}";r={left};t={seconds}',
        }

    def _refusal(self, now: float) -> RateLimited:
        assert self._window is not None
        return RateLimited(self._window.closes - now)


def _quota(name: str, setting: str) -> _Quota | None:
    rate = Rate.parse(setting)
    return None if rate is None else _Quota(name, rate)
