"""What is counted of SQL statements and MongoDB commands."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from api.metrics import families
from api.metrics.memory import Slot
from api.stores.calls import Clock, StoreName

_BOUNDS: Final = families.CALL_SECONDS.buckets


class CountedCalls(Clock):
    """Counts calls by store and kind, those of requests and those that the process makes by itself."""

    def __init__(self, slot: Slot) -> None:
        self._slot, self._cells = slot, slot.cells
        self._first: dict[tuple[str, str], int] = {}

    def timed(self, store: StoreName, kind: str, seconds: float, error: BaseException | None) -> bool:
        what = store, kind
        first = self._first.get(what)
        if first is None:
            first = self._first[what] = self._slot.series(families.CALL_SECONDS, *what)
            self._slot.series(families.CALL_ERRORS, *what)  # shown from the start
        cells = self._cells
        cells[first] += seconds
        cells[first + 1 + bisect_left(_BOUNDS, seconds)] += 1
        if error is not None:
            cells[self._slot.series(families.CALL_ERRORS, *what)] += 1
        return False
