"""What a feed reads from: a store's changes, in an order that stays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, Self, TypeVar

MOST: Final = 500
"""Changes that are read at a time."""


class Ordered(Protocol):
    """Places can be compared: the smaller one comes first."""

    def __lt__(self, other: Self, /) -> bool: ...


P = TypeVar("P", bound=Ordered)
P_co = TypeVar("P_co", bound=Ordered, covariant=True)


class Placed(Protocol[P_co]):
    """A change. `answers` is for whoever tells of it: what is worked out for one is there for the others."""

    @property
    def place(self) -> P_co: ...

    @property
    def answers(self) -> dict[Any, Any]: ...


C = TypeVar("C", bound=Placed[Any])
C_contra = TypeVar("C_contra", bound=Placed[Any], contravariant=True)


@dataclass(frozen=True, slots=True)
class Read(Generic[P, C]):
    """What has been read: everything up to `place`."""

    changes: Sequence[C]
    place: P


class PlaceGone(Exception):
    """The store no longer knows what came after a place."""


class Source(Protocol[P, C]):
    """A store's changes. All of it raises what the store raises.

    `name` is for the log.
    """

    name: str

    async def begin(self) -> P:
        """The place of now: whatever could be read before this was called lies before it."""
        ...

    def read(self, after: P) -> AsyncIterator[Read[P, C]]:
        """What follows this place, for ever. Raises PlaceGone.

        The first of it is empty, and says that nothing which is written from now on can be missed.
        """
        ...

    async def page(self, after: P, upto: P) -> Sequence[C]:
        """The changes between two places, where everything up to the second was read by `read`.

        Fewer than MOST where there are no more. Raises PlaceGone.
        """
        ...

    async def count(self, after: P, upto: P, most: int) -> int:
        """How many changes lie between two places, as far as `most` and one more. Raises PlaceGone."""
        ...

    async def close(self) -> None:
        """It is read no longer. It may be begun again."""
        ...
