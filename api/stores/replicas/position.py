"""How far the stores had come when something was written: what a read must see that comes after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the history of both stores.

    `wal` is a byte of PostgreSQL's write-ahead log (an LSN as a number) on its `timeline`, which changes when a replica
    is promoted. `cluster_time` is MongoDB's: its seconds in the upper half, its counter in the lower. 0 is before
    everything.
    """

    timeline: int = 0
    wal: int = 0
    cluster_time: int = 0

    def joined(self, other: Position) -> Position:
        """What is as far as both of them."""
        if other == NOWHERE:
            return self
        return Position(
            max(self.timeline, other.timeline),
            max(self.wal, other.wal),
            max(self.cluster_time, other.cluster_time),
        )

    @classmethod
    def of(cls, timeline: int | None, wal: int | None, cluster_time: int | None) -> Self:
        """Of numbers that may be missing."""
        return cls(timeline or 0, wal or 0, cluster_time or 0)


NOWHERE: Final = Position()
"""Nothing has been written that a read would have to see."""
EVERYWHERE: Final = Position(2**31 - 1, 2**63 - 1)
"""Further than any replica: where it isn't known how far the primary was."""
