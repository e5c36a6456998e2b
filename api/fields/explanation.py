"""What an operation has done: its plan, its loaders' batches, and every statement and command with its time.

Nothing of it has values, and of other requests that shared a read it only says how many there were.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.execution.description import DescribedLevel
from api.stores.calls import Asker, Call, Observer

MOST_CALLS: Final = 200
"""Statements and commands that are told; of more, only how many there were."""
LONGEST_TEXT: Final = 10_000
"""The most characters of a statement or command that are told."""


@dataclass(slots=True)
class _Batch:
    asker: Asker
    began: float
    ended: float | None = None
    error: BaseException | None = None


class Explanation(Observer):
    """What is observed of one request. Times are told in milliseconds since `started`; its answer was known when it
    `finished`."""

    only_asked = True

    def __init__(self, *, with_plans: bool) -> None:
        self.started = time.perf_counter()
        self.with_plans = with_plans
        self.finished: float | None = None
        self.asker: Asker | None = None
        self.calls: list[Call] = []
        self._batches: dict[Asker, _Batch] = {}

    def began(self, batch: Asker) -> None:
        if self._is_own(batch):
            self._batches[batch] = _Batch(batch, time.perf_counter())

    def ended(self, batch: Asker, error: BaseException | None) -> None:
        if (known := self._batches.get(batch)) is not None:
            known.ended, known.error = time.perf_counter(), error

    def called(self, call: Call) -> None:
        if any(map(self._is_own, call.askers)):
            self.calls.append(call)

    def told(self, executor: str | None, levels: Sequence[DescribedLevel], plans: Mapping[str, Any]) -> dict[str, Any]:
        """The explanation as JSON's values. `executor` is who has executed it; None where it was refused. `plans` are
        the stores' own, by the text of what was planned."""
        now = self.finished or time.perf_counter()
        numbers = {asker: number for number, asker in enumerate(self._batches)}
        loaders: dict[str, set[str]] = defaultdict(set)
        for asker in self._batches:
            for field in asker.fields:
                loaders[field].add(asker.loader or "")
        told = {
            "ms": self._ms(now),
            "executor": executor,
            "plan": [_level(level, loaders) for level in levels],
            "batches": [self._batch(batch, now) for batch in self._batches.values()],
            "calls": [self._call(call, numbers, plans) for call in self.calls[:MOST_CALLS]],
        }
        if len(self.calls) > MOST_CALLS:
            told["callsLeftOut"] = len(self.calls) - MOST_CALLS
        return told

    def _is_own(self, asker: Asker) -> bool:
        return self.asker is not None and asker.root is self.asker

    def _ms(self, at: float) -> float:
        return round((at - self.started) * 1000, 3)

    def _batch(self, batch: _Batch, now: float) -> dict[str, Any]:
        asker = batch.asker
        ended = now if batch.ended is None else batch.ended
        return {
            "loader": asker.loader,
            "fields": list(asker.fields),
            "keys": asker.keys,
            "columns": sorted(asker.columns),
            "began": self._ms(batch.began),
            "ms": round((ended - batch.began) * 1000, 3),
            **({"error": type(batch.error).__name__} if batch.error is not None else {}),
        }

    def _call(self, call: Call, numbers: Mapping[Asker, int], plans: Mapping[str, Any]) -> dict[str, Any]:
        own = [asker for asker in call.askers if self._is_own(asker)]
        text = call.text
        return {
            "store": call.store,
            "kind": call.kind,
            "target": call.target,
            "text": text[:LONGEST_TEXT],
            "began": self._ms(call.began),
            "ms": round(call.seconds * 1000, 3),
            "rows": call.rows,
            "keys": call.keys,
            "fields": sorted({field for asker in own for field in _fields(asker, call)}),
            "batch": next((numbers[asker] for asker in own if asker in numbers), None),
            "sharedWith": call.readers - len(own),
            **({"error": type(call.error).__name__} if call.error is not None else {}),
            **({"plan": plans[text]} if text in plans else {}),
        }


def _fields(asker: Asker, call: Call) -> Sequence[str]:
    if asker.loader is None:
        return () if call.field is None else (call.field,)
    return asker.fields


def _level(level: DescribedLevel, loaders: Mapping[str, set[str]]) -> dict[str, Any]:
    return {
        "path": ".".join(level.path),
        "type": level.type,
        "read": [field.key for field in level.fields if field.how == "read"],
        "loaded": [
            {"key": field.key, "loaders": sorted(loaders.get(f"{level.type}.{field.name}", ()))}
            for field in level.fields
            if field.how == "loaded"
        ],
        "resolved": [field.key for field in level.fields if field.how == "resolved"],
    }
