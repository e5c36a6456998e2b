"""Those who wait for a connection of a store's pool."""

from __future__ import annotations

from typing import Final

_LATELY: Final = 1 / 16
"""How much the last one who was served counts in the pace at which the line moves."""
_STILL_HEARD: Final = 0.5
"""The part of a wait within which the store must have answered somebody, or else it is the store that is waited for."""


class Line:
    """Who waits for a connection of a store, in the order in which they came, each with the moment since when.

    Moments are those of `time.monotonic`.
    """

    __slots__ = ("_moved", "_pace", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[object, float] = {}
        self._moved = 0.0
        """When somebody was served, or began to wait where nobody did."""
        self._pace = 0.0
        """Seconds from one who is served to the next, while there are some."""

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, who: object, now: float) -> None:
        """Somebody begins to wait."""
        if not self._waiting:
            self._moved = now
        self._waiting[who] = now

    def served(self, who: object, now: float) -> None:
        """Somebody has a connection, and doesn't wait any more."""
        if self._waiting.pop(who, None) is not None:
            self._pace += (now - self._moved - self._pace) * _LATELY
            self._moved = now

    def leave(self, who: object) -> None:
        """Somebody doesn't wait any more, or never did."""
        self._waiting.pop(who, None)

    def waits(self, now: float, heard: float) -> float:
        """Seconds that one who comes now will wait; 0 where there is nobody, or where the store is silent.

        How long the first in line has waited would say it too late: where three times as many come as the store can
        serve, the line has become three times as long by then. So the length of the line times its pace counts, where
        that is more.

        `heard` is when the store has last answered anybody. A store that is silent (frozen, or all of its connections
        wait for a lock) is the breaker's concern: what only needs the other store is to go on meanwhile.
        """
        for since in self._waiting.values():
            waited = now - since
            if now - heard >= waited * _STILL_HEARD:
                return 0.0
            return max(waited, len(self._waiting) * self._pace)
        return 0.0
