"""Connections: page requests, keyset cursors, and the Relay types that clients see."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from itertools import repeat
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
import strawberry
from bson import ObjectId
from bson.datetime_ms import DatetimeMS
from bson.errors import InvalidId

from api.errors import BadCursor, BadUserInput, StoreUnavailable, as_app_error
from api.lists.bson_order import nearest, odd, odd_of
from api.lists.conditions import EVERYTHING, And, Condition
from api.lists.facets import Faceted, FacetQuestion

DEFAULT_SIZE: Final = 20
MAX_SIZE: Final = 100
_MAX_REQUESTS: Final = 256
"""The most different requests that are kept."""
_MAX_CURSOR: Final = 4096
"""In characters: enough for a name of 255 characters that JSON escapes."""
_OF_DOCUMENTS: Final = frozenset({"designs", "design_revisions"})
"""The lists whose keys are ObjectIds."""
_OF_BOTH: Final = frozenset({"audit_log"})
"""The lists with keys of both stores."""
_OBJECT_ID_LENGTH: Final = 24
_NUMBERS: Final = ("price", "version")
"""The order fields that are numbers. Of the others, those that end in `_at` are times, and the rest are texts."""


@strawberry.enum(description="In which direction a list is ordered.")
class OrderDirection(Enum):
    ASC = strawberry.enum_value("asc", description="Smallest, earliest or alphabetically first before the others.")
    DESC = strawberry.enum_value("desc", description="Largest, latest or alphabetically last before the others.")


@dataclass(frozen=True, slots=True)
class Order:
    """The stored field by which a list is ordered. Ties are broken by the id, in the same direction."""

    field: str
    descending: bool


NEWEST_FIRST: Final = Order("created_at", descending=True)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a cursor points: the value of the order field (None where the object has none), and the id."""

    value: Any
    key: Any


@dataclass(frozen=True, slots=True, eq=False)
class PageRequest:
    """A request for one page of a list. Equal requests are one object, so that many parents share a statement.

    The page has `size` rows after `after` and before `before`; with `backwards`, the last ones of these.
    """

    list_name: str
    size: int
    backwards: bool
    after: Position | None
    before: Position | None
    order: Order
    condition: Condition
    scope: Condition
    filter: Condition = dataclasses.field(init=False)
    """The objects in the list: what the client asks for, among what the viewer may see."""
    _fingerprint: list[str] = dataclasses.field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        object.__setattr__(self, "filter", And((self.condition, self.scope)))

    @property
    def fingerprint(self) -> str:
        """A hash of the list, the filter and the order; a cursor is only valid for these."""
        if not self._fingerprint:
            text = f"{self.list_name} {self.order.field} {self.order.descending} {self.condition!r}"
            self._fingerprint.append(_digest(text))
        return self._fingerprint[0]


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


Parent = tuple[str, Any]
"""Whose list it is: the field of its objects that holds the parent's key, and that key."""


def fingerprint_of(request: PageRequest, parent: Parent | None) -> str:
    """The fingerprint of cursors in the list of one parent; None stands for the list of everything."""
    return request.fingerprint if parent is None else _digest(f"{request.fingerprint} {parent[0]} {parent[1]}")


_request = lru_cache(_MAX_REQUESTS, typed=True)(PageRequest)


def size_of(name: str, given: int | None) -> int:
    """How many objects the argument asks for. Raises BadUserInput for sizes outside 0 to 100."""
    size = DEFAULT_SIZE if given is None else given
    if not 0 <= size <= MAX_SIZE:
        raise BadUserInput(f"{name} must lie between 0 and {MAX_SIZE}.")
    return size


def page_request(
    list_name: str,
    *,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
    scope: Condition,
    order: Order = NEWEST_FIRST,
    condition: Condition = EVERYTHING,
    parent: Parent | None = None,
) -> PageRequest:
    """The page that a connection's arguments ask for, of the objects in `scope`.

    `parent` is the parent to whose list the cursors must belong; without cursors it doesn't matter. Raises BadUserInput
    for sizes outside 0 to 100 and for `first` together with `last`, and BadCursor for foreign or malformed cursors.
    """
    if first is not None and last is not None:
        raise BadUserInput("Give either first or last, not both.")
    size = size_of("last", last) if last is not None else size_of("first", first)
    request = _request(list_name, size, last is not None, None, None, order, condition, scope)
    if after is None and before is None:
        return request
    return _request(
        list_name,
        size,
        last is not None,
        None if after is None else _decode_cursor(after, request, parent),
        None if before is None else _decode_cursor(before, request, parent),
        order,
        condition,
        scope,
    )


def encode_cursor(fingerprint: str, value: Any, key: UUID | ObjectId) -> str:
    """An opaque cursor that points at the object with this order value and key."""
    if isinstance(value, datetime):
        value = value.isoformat()
    return base64.urlsafe_b64encode(orjson.dumps([fingerprint, value, str(key)])).decode()


def _decode_cursor(cursor: str, request: PageRequest, parent: Parent | None) -> Position:
    """Where a cursor points. Clients can forge cursors, so each part is checked against what the column can hold."""
    try:
        if len(cursor) > _MAX_CURSOR:
            raise ValueError
        fingerprint, value, key = orjson.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
        if fingerprint == fingerprint_of(request, parent):
            return Position(_order_value(request.order.field, value), _key(request.list_name, key))
        if not isinstance(fingerprint, str):
            raise ValueError
    except (InvalidId, KeyError, ValueError, TypeError, OverflowError):
        raise BadCursor("This is not a valid cursor.") from None
    raise BadCursor(
        "The cursor was made in another list, or with another filter or order; start again from the first page."
    )


def _class_of(field: str) -> type:
    """The class of the values of an order field; stored values of another class are odd."""
    return datetime if field.endswith("_at") else int if field in _NUMBERS else str


def _order_value(field: str, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, dict):
        return odd_of(value)
    if field.endswith("_at"):
        time = datetime.fromisoformat(value)
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    elif field in _NUMBERS:
        if type(value) is int and abs(value) < 2**31:
            return value
    elif isinstance(value, str) and "\x00" not in value:
        return value
    raise ValueError(f"no value of {field}")


def _key(list_name: str, text: Any) -> UUID | ObjectId:
    if not isinstance(text, str):  # ObjectId(None) would be a new id
        raise TypeError
    of_document = list_name in _OF_DOCUMENTS or (list_name in _OF_BOTH and len(text) == _OBJECT_ID_LENGTH)
    return ObjectId(text) if of_document else UUID(text)


class Cursors:
    """Makes the cursors of the rows of a page request, for one parent if the list has parents."""

    __slots__ = ("_fingerprint", "_key", "_order_value", "_parent", "request")

    def __init__(
        self,
        request: PageRequest,
        *,
        order_value: Callable[[Any], Any],
        key: Callable[[Any], Any],
        parent: Parent | None = None,
    ) -> None:
        self.request = request
        self._order_value = order_value
        self._key = key
        self._parent = parent
        self._fingerprint: str | None = None

    def of(self, row: Any) -> str:
        """The cursor of one of the rows."""
        if self._fingerprint is None:
            self._fingerprint = fingerprint_of(self.request, self._parent)
        value, field = self._order_value(row), self.request.order.field
        if isinstance(value, DatetimeMS):
            value = nearest(value)
        elif value is not None and not isinstance(value, _class_of(field)):
            value = odd(value).as_json()
        return encode_cursor(self._fingerprint, value, self._key(row))

    def of_parent(self, parent: Parent) -> Cursors:
        """The cursors for the page of this parent."""
        return Cursors(self.request, order_value=self._order_value, key=self._key, parent=parent)


class Page(NamedTuple):
    """A fetched page: the stored rows, and how to count the whole list.

    `rows` are up to `size + 1` rows; the surplus one only shows that there is more. The list is that of `owner`, by the
    field `by` of its objects; both are None for a list of everything. Where the store was not available,
    `error` is raised for the fields that need the rows.
    """

    cursors: Cursors
    rows: Sequence[Any]
    node: Callable[[Any], Any]
    length: Callable[[Any], Awaitable[int]]
    owner: Any = None
    error: Exception | None = None
    by: str | None = None

    @property
    def request(self) -> PageRequest:
        """The request for this page."""
        return self.cursors.request

    @property
    def faceted(self) -> Faceted:
        """How facets of the whole list are asked for."""
        request = self.request
        question = FacetQuestion(self.by, request.condition, request.scope)
        return Faceted(f"{request.list_name}_facets", question, self.owner, whole=self.by is None)

    def shown(self) -> Sequence[Any]:
        """The rows of the page without the surplus one, in the order of the list. Raises `error`."""
        if self.error is not None:
            raise self.error
        request = self.cursors.request
        rows = self.rows[: request.size]
        return list(reversed(rows)) if request.backwards else rows

    def edges(self) -> list[tuple[Page, Any]]:
        """The sources of the edges. Raises `error`."""
        return list(zip(repeat(self), self.shown()))

    @property
    def more(self) -> bool:
        """Whether the list goes on in the direction of the page."""
        return len(self.rows) > self.request.size


def is_outage(error: Exception) -> bool:
    """Whether the error means that the store is not available.

    A connection is then shown without edges and nodes, and the error is reported for these only: the rest of the
    response can still be answered.
    """
    return isinstance(as_app_error(error), StoreUnavailable)
