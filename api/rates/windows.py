"""Fixed windows of time, each with its own count: what a rate such as `10000/minute` allows in one of them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Self

from limits import parse


@dataclass(frozen=True, slots=True)
class Rate:
    """So many points in so many seconds."""

    amount: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The rate of a setting, None for `off`. Raises ValueError."""
        if text == "off":
            return None
        item = parse(text)
        return cls(item.amount, int(item.get_expiry()))


@dataclass(frozen=True, slots=True)
class Window:
    """The window of a key that is open at a moment: the name of its count, and when it closes (seconds since 1970)."""

    name: str
    closes: float

    @classmethod
    def of(cls, key: str, rate: Rate, now: float) -> Self:
        """The open window of a key.

        The windows of different keys begin at different moments, so that not all waiting clients come back at once.
        Every process computes the same moments.
        """
        offset = zlib.crc32(key.encode()) % rate.seconds
        number = int(now + offset) // rate.seconds
        return cls(f"{key}:{number}", (number + 1) * rate.seconds - offset)
