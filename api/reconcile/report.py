"""The report of a run of `reconcile`: what it found and repaired."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

EXAMPLES: Final = 10
"""The most ids that are named for each kind of problem; the first ones that are found."""

Progress = Callable[[str, int, int | None], None]
"""Called with a step, how much of it is done, and how much there is, if that is known."""


@dataclass(slots=True)
class Tally:
    """One kind of problem. Objects that were found, but neither repaired nor remain, were put right by somebody
    else."""

    found: int = 0
    repaired: int = 0
    remaining: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, ids: Iterable[object]) -> int:
        """Count these objects as found. Returns how many there are."""
        names = [str(id) for id in ids]
        self.found += len(names)
        self.examples += names[: EXAMPLES - len(self.examples)]
        return len(names)


@dataclass(slots=True)
class Report:
    """Everything that a run found, by kind."""

    unfinished_operations: Tally = field(default_factory=Tally)
    """Deletions and restorations of users that were interrupted: users."""
    unrestored_designs: Tally = field(default_factory=Tally)
    """Designs that a finished restoration should have brought back."""
    orphaned_avatars: Tally = field(default_factory=Tally)
    """Live avatars of deleted users."""
    orphaned_designs: Tally = field(default_factory=Tally)
    """Live designs of deleted users."""
    ownerless_designs: Tally = field(default_factory=Tally)
    """Live designs whose owner PostgreSQL doesn't know. Never repaired: it may be PostgreSQL that has lost somebody."""
    dangling_avatars: Tally = field(default_factory=Tally)
    """Live designs on an avatar that PostgreSQL doesn't know. Never repaired: it reads as null, and may come back."""
    dangling_items: Tally = field(default_factory=Tally)
    """Live designs with an item that PostgreSQL doesn't know. Never repaired, likewise."""
    wrong_catalog_item_ids: Tally = field(default_factory=Tally)
    """Designs whose `catalogItemIds` are not the items of their layers."""
    odd_values: Tally = field(default_factory=Tally)
    """Live objects that hold a value that its field can't show. Never repaired: another program may read it."""
    expired_sessions: Tally = field(default_factory=Tally)
    expired_idempotency_keys: Tally = field(default_factory=Tally)
    expired_audit_entries: Tally = field(default_factory=Tally)
    expired_revisions: Tally = field(default_factory=Tally)

    def kinds(self) -> dict[str, Tally]:
        """The tallies by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def problems(self) -> int:
        """How many problems remain. What has only expired is none."""
        return sum(tally.remaining for name, tally in self.kinds().items() if not name.startswith("expired_"))

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        kinds = {
            name: {
                "found": tally.found,
                "repaired": tally.repaired,
                "remaining": tally.remaining,
                "examples": tally.examples,
            }
            for name, tally in self.kinds().items()
        }
        return {"problems": self.problems, **kinds}
