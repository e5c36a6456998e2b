"""An entry of the audit log, wherever it is stored, its key, and what the list is sorted by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from bson import ObjectId

from api.errors import BadCursor
from api.ids import encode_id, numbered_key, uuid_key
from api.lists.pagination import Position

DESIGNS: Final = "designs"
TYPE_OF: Final[Mapping[str, str]] = {
    "shared.users": "User",
    "avatar.avatars": "Avatar",
    "catalog.catalog_items": "CatalogItem",
    DESIGNS: "Design",
}
"""The GraphQL type of the object that a kind of entry is about."""

WriteKey = tuple[ObjectId, int] | tuple[ObjectId, int, int]
"""A design and one of its versions; then the number of a write that has left the version as it is, if it is one."""

LOG: Final = 0
VERSIONS: Final = 1
"""The stores of entries, which order those of the same moment."""


@dataclass(frozen=True, slots=True, order=True)
class SortKey:
    """What the list is sorted by. It stays the same when the last write of a design becomes an earlier one.

    `key` is the entry's in PostgreSQL, the design's in MongoDB; `version` is 0 in PostgreSQL.
    """

    at: datetime
    source: int
    key: Any
    version: int

    @property
    def value(self) -> str:
        """The order value in a cursor."""
        return f"{self.at.isoformat()} {self.version}"


def sort_key_of(position: Position) -> SortKey:
    """The sort key that a cursor points at. Raises BadCursor where no entry can have it."""
    at, _, version = str(position.value).partition(" ")
    try:
        moment = datetime.fromisoformat(at).astimezone(UTC)
        source = VERSIONS if isinstance(position.key, ObjectId) else LOG
        if not 0 <= int(version) < 2**31:
            raise ValueError
        return SortKey(moment, source, position.key, int(version))
    except (ValueError, OverflowError):
        raise BadCursor("This is not a valid cursor.") from None


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. Fields that weren't asked for are None."""

    sort_key: SortKey
    kind: str
    operation: str
    record_key: UUID | ObjectId
    actor_key: UUID | None
    request_id: str | None
    number: int = 0
    """The number of a write of a design that kept its version, from 1."""
    previous: int = 0
    """The number of the last write of the version before."""
    old_values: Any = None
    new_values: Any = None

    @property
    def id(self) -> str:
        """The global id of the entry."""
        if self.kind == DESIGNS:
            number = f":{self.number}" if self.number else ""
            return encode_id("AuditEntry", f"{self.sort_key.key}:{self.sort_key.version}{number}")
        return encode_id("AuditEntry", self.sort_key.key)

    @property
    def at(self) -> datetime:
        return self.sort_key.at

    @property
    def version(self) -> int | None:
        """The version of the design, if the entry is about one."""
        return self.sort_key.version or None

    @property
    def record_id(self) -> str:
        """The global id of what was changed."""
        return encode_id(TYPE_OF[self.kind], self.record_key)

    @property
    def actor_id(self) -> str | None:
        """The global id of the user who did it."""
        return None if self.actor_key is None else encode_id("User", self.actor_key)


def entry_key(text: str) -> UUID | WriteKey | None:
    """The key of an entry, read from a global id: of a row of the log, or of a write of a design."""
    key: Any = numbered_key(text)
    return key if key is not None and len(key) in (2, 3) else uuid_key(text)
