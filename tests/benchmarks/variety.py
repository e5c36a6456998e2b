"""The requests that an operation is measured with: one again and again, many that differ, or skewed like real traffic.

What many requests at the same time ask of the stores depends on it: those that are equal can be answered together,
those that differ must each be read.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from api.ids import encode_id
from tests.benchmarks import bulk
from tests.benchmarks.operations import Operation

DIFFERENT: Final = 400
"""Requests that differ, more than there are connections."""
DRAWN: Final = 4000
"""Requests that are drawn of them, where some come more often than others."""
SHUFFLED: Final = 12
"""Where the order begins: it is the same in every run."""


class Variety(StrEnum):
    """How much the requests of an operation differ."""

    ONE = "one"
    MANY = "many"
    SKEWED = "skewed"


def requests_of(operation: Operation, variety: Variety, rows: int, designs: int) -> Sequence[Operation]:
    """The operation as it is sent by turns, over so many rows a table and so many designs; none where it can't differ.

    Of those that are `many`, no two ask the same: each is another design, or a page that begins elsewhere. Of those
    that are `skewed`, the second comes half as often as the first, the third a third as often, and so on (Zipf).
    """
    if variety is Variety.ONE:
        return [operation]
    chance = random.Random(SHUFFLED)
    differing = [
        replace(operation, query=operation.differing, variables=variables)
        for variables in _variables(operation.name, rows, designs)
    ]
    chance.shuffle(differing)
    if variety is Variety.MANY or not differing:
        return differing
    return chance.choices(differing, [1 / rank for rank in range(1, len(differing) + 1)], k=DRAWN)


def _variables(name: str, rows: int, designs: int) -> list[dict[str, Any]]:
    match name:
        case "oneDesign":
            public = (each for each in bulk.designs(designs, rows) if _is_public(each))
            return [{"id": encode_id("Design", each["_id"])} for each in itertools.islice(public, DIFFERENT)]
        case "catalogPage":
            return _windows(0.0, 0.9, 0.1)
        case "designBoard":  # enough for a page of 20
            return _windows(0.0, 1 - 50 / designs, 50 / designs)
        case "userTree":  # of the older half: they have the most
            return _windows(0.0, 0.5, 0.1)
    return []


def _windows(first: float, last: float, length: float) -> list[dict[str, Any]]:
    """Windows of time, as parts of the whole time that the data is of."""
    starts = [first + (last - first) * number / DIFFERENT for number in range(DIFFERENT)]
    return [{"since": _moment(start), "until": _moment(start + length)} for start in starts]


def _moment(part: float) -> str:
    return (bulk.START + bulk.SPAN * part).isoformat()


def _is_public(design: dict[str, Any]) -> bool:
    return design["status"] == "published" and "deletedAt" not in design
