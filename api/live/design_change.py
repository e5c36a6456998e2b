"""A change of a design, and the place where it stands among the others."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from bson import ObjectId

from documents.last_change import CHANGE, change_of, is_as_written

Document = Mapping[str, Any]
LAST: Final = 2**31
"""Larger than the number of any event of the same time."""
SOMEWHERE: Final = -1
"""The number of a place that another process has read: before all that this one reads."""
OVERLAP: Final = 15_000
"""Milliseconds that a write may take from its stamp until it can be read, where there are no streams: longer than a
command may take."""
_LONGEST: Final = 2048
"""Characters of a token of MongoDB."""
_TOLD: Final = 64
"""The most writes that a place tells apart."""
_READ: Final = "read"
_WRITE: Final = struct.Struct(">I6s")
"""A write in a token: its time after the floor, and what stands for it."""
_LARGEST: Final = b"\xff" * 6


_ID: Final = re.compile("(?:[0-9a-f]{32})?")
"""The id of a collection, or none."""

WriteKey = tuple[int, bytes]
"""The time of a write in milliseconds, and what stands for it beside that. Writes are read in this order."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Which writes have been read: all up to the `floor`, and of the later ones these."""

    floor: WriteKey
    recent: tuple[WriteKey, ...] = ()

    @classmethod
    def until(cls, at: int) -> Seen:
        """All that were stamped up to this time."""
        return cls((at, _LARGEST))

    def __contains__(self, write: WriteKey) -> bool:
        return write <= self.floor or write in self.recent

    def plus(self, write: WriteKey) -> Seen:
        """With one more write. Only the newest are told apart, so that tokens stay short."""
        recent = sorted((*self.recent, write))
        floor = max(self.floor, (recent[-1][0] - OVERLAP, _LARGEST), *recent[: -_TOLD or None])
        return Seen(floor, tuple(each for each in recent if each > floor))

    def to_json(self) -> list[Any]:
        """As it stands in a resume token."""
        at, hash = self.floor
        written = (_WRITE.pack(each - at, key) for each, key in self.recent)
        return [_READ, at, base64.b64encode(b"".join((hash, *written))).decode()]

    @classmethod
    def from_json(cls, floor: int, written: str) -> Seen:
        """The inverse of `to_json`. Raises ValueError for what that can't have made."""
        hash, recent = (read := base64.b64decode(written, validate=True))[:6], read[6:]
        if not 0 <= floor < 2**48 or len(hash) != 6 or len(recent) % _WRITE.size or len(recent) > _TOLD * _WRITE.size:
            raise ValueError
        return cls((floor, hash), tuple((floor + after, key) for after, key in _WRITE.iter_unpack(recent)))


@dataclass(frozen=True, slots=True, order=True)
class DesignPlace:
    """A place in MongoDB's change stream: the time of the server's log, and how many of its events came by then.

    `collection` is the id of the collection whose place it is, empty where the server tells none. Places of different
    ones are never equal; that they are ordered means nothing.

    `token` is the server's own for the last event there, and where it is None the place is that after this time. Where
    there are no streams, `seen` says what has been read instead, and the time is 0.
    """

    collection: str
    time: int
    increment: int
    number: int
    token: str | None = field(default=None, compare=False)
    seen: Seen | None = field(default=None, compare=False)

    def to_json(self) -> list[Any]:
        """As it stands in a resume token."""
        if self.seen is not None:
            return [self.collection, *self.seen.to_json()]
        return [self.collection, self.time, self.increment, self.number, self.token]

    @classmethod
    def from_json(cls, given: Any) -> DesignPlace:
        """The inverse of `to_json`. Raises ValueError for what that can't have made.

        Tokens that were given before they named a collection are read as those of a server that tells no ids.
        """
        match given:
            case [str(collection), *place] if _ID.fullmatch(collection):
                pass
            case [*place]:
                collection = ""
            case _:
                raise ValueError
        match place:
            case [str(kind), int(floor), str(recent)] if kind == _READ:
                return cls(collection, 0, 0, SOMEWHERE, seen=Seen.from_json(floor, recent))
            case [int(time), int(increment), int(number), (None | str()) as token]:
                if not (0 < time < 2**32 and 0 <= increment < 2**32 and 0 <= number <= LAST):
                    raise ValueError
                if token is not None and (len(token) > _LONGEST or not token):
                    raise ValueError
                return cls(collection, time, increment, number, token)
        raise ValueError


@dataclass(frozen=True, slots=True, eq=False)
class DesignChange:
    """A stored design before and after a write; None where it wasn't there.

    `unknown` are the stored names (the first parts of their paths) of fields of which only the value after is known.
    `actor` is who did it, where that is known. `answers` is for whoever tells of it: what is worked out for one is
    there for the others.
    """

    place: DesignPlace
    key: ObjectId
    before: Document | None
    after: Document | None
    unknown: frozenset[str]
    actor: str | None
    at: datetime
    answers: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def of_write(
        cls,
        place: DesignPlace,
        key: ObjectId,
        before: Document | None,
        after: Document | None,
        unknown: frozenset[str],
        at: datetime,
    ) -> DesignChange:
        """A change by whoever the design names for it, else by another program `at` this time."""
        write = change_of(after) if after is not None and is_as_written(after) else None
        if before is not None and CHANGE not in unknown and write == change_of(before):
            write = None  # it is that of an earlier write
        if write is None:
            return cls(place, key, before, after, unknown, None, at)
        return cls(place, key, before, after, unknown, write.get("actorId"), write["at"])
