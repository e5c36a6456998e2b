"""MongoDB's order of values of different types, for lists that are ordered by what isn't always of the right one.

A comparison there finds values of one type only, while a sort goes through all of them: what lies beyond a value is the
rest of its type, and the types that follow. https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from bson import ObjectId
from bson.datetime_ms import DatetimeMS

_BRACKETS: Final = ("number", "string", "object", "binData", "objectId", "bool", "date")
"""From the smallest to the largest; nulls are smaller still, and the rest nobody stores."""
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
    """A value of another type than its field's. `value` is None where it is nothing that a cursor can hold."""

    bracket: str
    value: str | float | bool | ObjectId | None

    def as_json(self) -> dict[str, Any]:
        """As a cursor holds it."""
        return {"type": self.bracket, "value": str(self.value) if isinstance(self.value, ObjectId) else self.value}


def nearest(time: DatetimeMS) -> datetime:
    """The first or the last moment that Python knows, for one beyond."""
    return _LAST if int(time) > 0 else _FIRST


def odd(value: Any) -> Odd:
    """A stored value of the wrong type."""
    bracket = _bracket_of(value)
    return Odd(bracket, value if _is_held(bracket, value) else None)


def odd_of(given: Mapping[str, Any]) -> Odd:
    """What `as_json` has made. Clients can forge it: raises ValueError for what it can't have made."""
    bracket, value = given["type"], given["value"]
    if bracket not in _BRACKETS:
        raise ValueError(bracket)
    if value is not None and bracket == "objectId":
        value = ObjectId(value)
    if value is not None and not (_bracket_of(value) == bracket and _is_held(bracket, value)):
        raise ValueError(value)
    return Odd(bracket, value)


def types_beyond(value: Any, *, smaller: bool) -> list[str]:
    """The types of which all values are smaller, or larger, than this one; null is none of them."""
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
