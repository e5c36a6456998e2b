"""Histograms of whole numbers: buckets of one width, with bounds that people would choose.

A width is 1, 2 or 5 with zeros behind it, and a bucket begins at a multiple of it. Of these widths, the smallest is
taken with which the numbers lie in at most `MAX_BUCKETS` buckets. PostgreSQL looks for it (`api.lists.facets`), so that
one statement reads the numbers, and counts them by `number // width`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_BUCKETS: Final = 20
WIDTHS: Final = tuple(digit * 10**zeros for zeros in range(10) for digit in (1, 2, 5))
"""The last one is more than the greatest number of a column."""
LARGEST: Final = 2**31 - 1
"""The greatest number of a column, and of GraphQL's Int."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The numbers from `lowest` to `highest`, both included, and how many there are."""

    lowest: int
    highest: int
    count: int


def histogram(width: int, counts: Mapping[int, int]) -> list[Bucket]:
    """The buckets of this width, from the first that has numbers to the last; those between may be empty.

    `counts` says how many numbers there are by `number // width`.
    """
    if not counts:
        return []
    return [
        Bucket(place * width, min(place * width + width - 1, LARGEST), counts.get(place, 0))
        for place in range(min(counts), max(counts) + 1)
    ]
