"""Those who wait for a connection of a store's pool."""

from __future__ import annotations

from typing import Final

_STILL_HEARD: Final = 0.5
"""The part of a wait within which the store must have answered somebody, or else it is the store that is waited for."""


class Line:
    """Who waits for a connection of a store, in the order in which they came, each with the moment since when.

    Moments are those of `time.monotonic`.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[object, float] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, who: object, now: float) -> None:
        """Somebody begins to wait."""
        self._waiting[who] = now

    def leave(self, who: object) -> None:
        """Somebody has a connection, or doesn't wait any more, or never did."""
        self._waiting.pop(who, None)

    def waited(self, now: float, heard: float) -> float:
        """Seconds that the first in line has waited; 0 where there is nobody, or where the store is silent.

        `heard` is when the store has last answered anybody. Of one that is silent (frozen, or all of its connections
        wait for a lock), the breaker takes care: what only needs the other store is to go on meanwhile.
        """
        for since in self._waiting.values():
            waited = now - since
            return waited if now - heard < waited * _STILL_HEARD else 0.0
        return 0.0
