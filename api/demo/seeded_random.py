"""Pseudo-random values that are the same on every machine and Python version."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from bson import ObjectId

T = TypeVar("T")

EPOCH: Final = datetime(2025, 11, 1, tzinfo=UTC)
"""When the demo data ends: fixed, since the same data has to come out whenever it is made."""
START: Final = datetime(2023, 11, 1, tzinfo=UTC)

_MILLISECOND: Final = timedelta(milliseconds=1)


class Chance(random.Random):
    """A stream of values for one subject of one block: changing what one subject draws leaves the others alone.

    The platform's mathematics library isn't used, since its last digits differ between machines.
    """

    def __init__(self, subject: str, block: int) -> None:
        super().__init__(f"fashion-wallet/{subject}/{block}")  # seeded through SHA-512, not through hash()

    def normal(self, mean: float, deviation: float) -> float:
        """About normally distributed, never further than 2.5 deviations from the mean."""
        z = sum(self.random() for _ in range(12)) - 6
        return mean + deviation * min(max(z, -2.5), 2.5)

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def moment(self, start: datetime, end: datetime) -> datetime:
        """A time from `start` up to `end`, in whole milliseconds, as MongoDB keeps them."""
        return start + _MILLISECOND * self.randrange((end - start) // _MILLISECOND)

    def early(self, values: Sequence[T], count: int) -> T:
        """One of the first `count` values, the earlier ones more often: a few are popular, most are not."""
        share = self.random()
        return values[int(count * share * share)]

    def uuid7(self, moment: datetime) -> uuid.UUID:
        """A UUIDv7 of that time."""
        head = (_milliseconds(moment) << 16) | 0x7000 | self.getrandbits(12)
        return uuid.UUID(int=(head << 64) | (0b10 << 62) | self.getrandbits(62))

    def object_id(self, moment: datetime) -> ObjectId:
        """An ObjectId of that time."""
        return ObjectId((_milliseconds(moment) // 1000).to_bytes(4, "big") + self.getrandbits(64).to_bytes(8, "big"))


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _MILLISECOND


PICTURES: Final = "https://assets.fashion-wallet.test/pictures"
"""The generated address of pictures of items and designs; the loader replaces it by the server's own."""


def picture_url(kind: str, id: object) -> str:
    """Address of the picture of a catalog item or design, below PICTURES as api/http/pictures/routes.py has it."""
    return f"{PICTURES}/{kind}/{id}.svg"


def asset_url(*path: object) -> str:
    """Where a file of the demo data would be; `.test` leads nowhere by definition (RFC 6761)."""
    return "/".join(["https://assets.fashion-wallet.test", *map(str, path)])
