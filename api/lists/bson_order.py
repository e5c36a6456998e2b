"""MongoDB's order of values of different BSON types, for lists whose order field holds odd values in some documents.

A comparison in MongoDB only finds values of one type, while a sort goes through all types. So the values after a given
one are the rest of its type and all types that follow.
https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from bson import ObjectId
from bson.datetime_ms import DatetimeMS

_BRACKETS: Final = ("number", "string", "object", "binData", "objectId", "bool", "date")
"""From the smallest to the largest. Nulls are smaller still; other types aren't stored by anybody."""
_CLASSES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "bool": bool,
    "number": (int, float),
    "string": str,
    "objectId": ObjectId,
    "date": datetime,
    "binData": bytes,
}
_FIRST: Final = datetime(1, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)
_MAX_TEXT: Final = 255
_MAX_NUMBER: Final = 2**63


class Odd(NamedTuple):
    """A value of another type than its field has. `value` is None where a cursor can't hold it."""

    bracket: str
    value: str | float | bool | ObjectId | None

    def as_json(self) -> dict[str, Any]:
        """The form in a cursor."""
        return {"type": self.bracket, "value": str(self.value) if isinstance(self.value, ObjectId) else self.value}


def nearest(time: DatetimeMS) -> datetime:
    """The first or the last moment that Python can hold, for one beyond that."""
    return _LAST if int(time) > 0 else _FIRST


def odd(value: Any) -> Odd:
    """A stored value of the wrong type."""
    bracket = _bracket_of(value)
    return Odd(bracket, value if _is_held(bracket, value) else None)


def odd_of(given: Mapping[str, Any]) -> Odd:
    """The inverse of `as_json`. Clients can forge cursors, so it raises ValueError for what `as_json` can't have
    made."""
    bracket, value = given["type"], given["value"]
    if bracket not in _BRACKETS:
        raise ValueError(bracket)
    if value is not None and bracket == "objectId":
        value = ObjectId(value)
    if value is not None and not (_bracket_of(value) == bracket and _is_held(bracket, value)):
        raise ValueError(value)
    return Odd(bracket, value)


def types_beyond(value: Any, *, smaller: bool) -> list[str]:
    """The types whose values are all smaller (or larger) than this value. Null isn't among them."""
    place = _BRACKETS.index(value.bracket if isinstance(value, Odd) else _bracket_of(value))
    return [*(_BRACKETS[:place] if smaller else _BRACKETS[place + 1 :])]


def _bracket_of(value: Any) -> str:
    return next((name for name, kinds in _CLASSES.items() if isinstance(value, kinds)), "object")


def _is_held(bracket: str, value: Any) -> bool:
    match bracket:
        case "number":
            return bool(-_MAX_NUMBER <= value < _MAX_NUMBER)
        case "string":
            return len(value) <= _MAX_TEXT
        case "bool" | "objectId":
            return True
    return False
