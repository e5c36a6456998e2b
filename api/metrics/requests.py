"""What is counted of requests to `/graphql`."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.log import Cost
from api.metrics import families
from api.metrics.memory import EXEMPLAR, Slot
from api.metrics.names import NONE, Names

_STATUSES: Final = (2, 4, 5)
"""Status classes that are shown from the start, with 0, so that Prometheus sees the first one as an increase."""
_BOUNDS: Final = families.REQUEST_SECONDS.buckets


@dataclass(slots=True)
class _Operation:
    """Cells of an operation: of each status class its requests, then the others'."""

    statuses: list[int]
    seconds: int
    received: int
    sent: int
    cost: int


class Requests:
    """Counts requests in the slot of a process."""

    def __init__(self, slot: Slot, names: Names) -> None:
        self._slot, self._cells, self._names = slot, slot.cells, names
        self._sql, self._mongo = slot.series(families.SQL), slot.series(families.MONGO)
        self._operations: dict[str, _Operation] = {}
        self._statuses = [slot.series(families.OPERATIONS, f"{each}xx") for each in _STATUSES]
        self._of(NONE)

    def ended(self, cost: Cost) -> None:
        """A request has ended, whether it was answered or its client has gone."""
        cells = self._cells
        cells[self._sql] += cost.sql
        cells[self._mongo] += cost.mongo

    def executed(self, status: int) -> None:
        """An operation got as far as the schema: a request that is refused before has none, a batch has several."""
        number = status // 100
        if number in _STATUSES:
            self._cells[self._statuses[_STATUSES.index(number)]] += 1
        else:
            self._cells[self._slot.series(families.OPERATIONS, f"{number}xx")] += 1

    def answered(
        self,
        name: str,
        status: int,
        seconds: float,
        *,
        executed: bool,
        registered: bool,
        received: int,
        sent: int,
        cost: int,
        trace: str | None,
        errors: Sequence[Mapping[str, Any]],
    ) -> None:
        """A request for the operation of this name was answered.

        `executed` says that it has given data, `registered` that its document is one of the operator's. `received` and
        `sent` are bytes, `cost` points, and `trace` the trace's id in hex.
        """
        operation = self._operations.get(name)
        if operation is None:
            name = self._names.shown(name, executed=executed, registered=registered)
            operation = self._of(name)
        cells, bucket = self._cells, bisect_left(_BOUNDS, seconds)
        cells[operation.statuses[status // 100]] += 1
        cells[operation.seconds] += seconds
        cells[operation.seconds + 1 + bucket] += 1
        cells[operation.received] += received
        cells[operation.sent] += sent
        cells[operation.cost] += cost
        if trace is not None:
            exemplar = EXEMPLAR.pack(bytes.fromhex(trace), seconds, time.time())
            self._slot.keep_exemplar(families.REQUEST_SECONDS, operation.seconds, bucket, exemplar)
        self._count(name, errors)

    def refused(self, status: int, errors: Sequence[Mapping[str, Any]]) -> None:
        """A request was refused at once, before it was read: its time is none that objectives speak of."""
        self._cells[self._of(NONE).statuses[status // 100]] += 1
        self._count(NONE, errors)

    def _count(self, name: str, errors: Sequence[Mapping[str, Any]]) -> None:
        for error in errors:
            extensions = error["extensions"]
            self._cells[self._slot.series(families.ERRORS, name, extensions["code"], extensions.get("limit", ""))] += 1

    def _of(self, name: str) -> _Operation:
        operation = self._operations.get(name)
        if operation is None:
            slot = self._slot
            shown = {each: slot.series(families.REQUESTS, name, f"{each}xx") for each in _STATUSES}
            # nothing is answered with 1xx, and where a status 3xx is, it is one of those that went well
            statuses = [shown[2], shown[2], shown[2], shown[2], shown[4], shown[5]]
            operation = self._operations[name] = _Operation(
                statuses,
                slot.series(families.REQUEST_SECONDS, name),
                slot.series(families.REQUEST_BYTES, name),
                slot.series(families.RESPONSE_BYTES, name),
                slot.series(families.COST, name),
            )
        return operation
