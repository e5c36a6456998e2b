"""An entry of the audit log, wherever it is stored, and its place in the list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from bson import ObjectId

from api.errors import BadCursor
from api.ids import encode_id, encode_version_id
from api.lists.pagination import Position

DESIGNS: Final = "designs"
TYPE_OF: Final[Mapping[str, str]] = {
    "shared.users": "User",
    "avatar.avatars": "Avatar",
    "catalog.catalog_items": "CatalogItem",
    DESIGNS: "Design",
}
"""The GraphQL type of the object that a kind of entry is about."""

LOG: Final = 0
VERSIONS: Final = 1
"""The stores of entries, which order those of the same moment."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """The place of an entry in the list, by which it is ordered. A version keeps it when it becomes a revision.

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


def place_of(position: Position) -> Place:
    """The place that a cursor points at. Raises BadCursor where no entry can have it."""
    at, _, version = str(position.value).partition(" ")
    try:
        moment = datetime.fromisoformat(at).astimezone(UTC)
        source = VERSIONS if isinstance(position.key, ObjectId) else LOG
        if not 0 <= int(version) < 2**31:
            raise ValueError
        return Place(moment, source, position.key, int(version))
    except (ValueError, OverflowError):
        raise BadCursor("This is not a valid cursor.") from None


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. Fields that weren't asked for are None."""

    place: Place
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
            return encode_version_id("AuditEntry", self.place.key, self.place.version, self.number)
        return encode_id("AuditEntry", self.place.key)

    @property
    def at(self) -> datetime:
        return self.place.at

    @property
    def version(self) -> int | None:
        """The version of the design, if the entry is about one."""
        return self.place.version or None

    @property
    def record_id(self) -> str:
        """The global id of what was changed."""
        return encode_id(TYPE_OF[self.kind], self.record_key)

    @property
    def actor_id(self) -> str | None:
        """The global id of the user who did it."""
        return None if self.actor_key is None else encode_id("User", self.actor_key)
