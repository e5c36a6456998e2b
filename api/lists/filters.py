"""Filter inputs: the parts that all filters share, and how a filter becomes a condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final

import strawberry
from strawberry.types.base import StrawberryObjectDefinition

from api.errors import BadUserInput
from api.folding import composed
from api.ids import decode_id_of
from api.lists.conditions import EVERYTHING, And, Compare, Condition, Not, Operator, Or

MAX_TEXT: Final = 255
"""The most characters of a text: no filtered column is longer."""
MAX_VALUES: Final = 100
"""The most values in one list, and the most conditions in one filter."""
MAX_FILTERS: Final = 4 * MAX_VALUES
"""The most filters inside one filter, empty ones included."""
_MAX_OF_CONDITIONS: Final = 4 * MAX_VALUES
"""The most objects with conditions inside one filter, empty ones included."""
MAX_DEPTH: Final = 8
"""How deep `and`, `or` and `not` may nest."""

_TAGS: Final[Mapping[str, Operator]] = {"any": "has_any", "all": "has_all"}


@strawberry.input(
    description="Conditions on a text. Those given must all hold; only `equals` and `in` tell capital letters apart."
)
class TextFilter:
    equals: str | None = strawberry.field(default=strawberry.UNSET, description="Exactly this text.")
    in_: list[str] | None = strawberry.field(default=strawberry.UNSET, name="in", description="One of these texts.")
    contains: str | None = strawberry.field(default=strawberry.UNSET, description="This text somewhere in it.")
    starts_with: str | None = strawberry.field(default=strawberry.UNSET, description="This text at its beginning.")


@strawberry.input(description="A range of whole numbers. Bounds that contradict each other match nothing.")
class IntRange:
    gt: int | None = strawberry.field(default=strawberry.UNSET, description="Greater than this number.")
    gte: int | None = strawberry.field(default=strawberry.UNSET, description="Greater than or equal to.")
    lt: int | None = strawberry.field(default=strawberry.UNSET, description="Less than this number.")
    lte: int | None = strawberry.field(default=strawberry.UNSET, description="Less than or equal to.")


@strawberry.input(description="A range of time. Bounds that contradict each other match nothing.")
class DateTimeRange:
    gt: datetime | None = strawberry.field(default=strawberry.UNSET, description="Later than this moment.")
    gte: datetime | None = strawberry.field(default=strawberry.UNSET, description="Later than or at.")
    lt: datetime | None = strawberry.field(default=strawberry.UNSET, description="Earlier than this moment.")
    lte: datetime | None = strawberry.field(default=strawberry.UNSET, description="Earlier than or at.")


@strawberry.input(description="Conditions on tags. Those given must all hold.")
class TagsFilter:
    any: list[str] | None = strawberry.field(default=strawberry.UNSET, description="At least one of these tags.")
    all: list[str] | None = strawberry.field(default=strawberry.UNSET, description="All of these tags.")


def where(
    description: str,
    *,
    on: str | None = None,
    node: str | None = None,
    as_text: bool = False,
    presence: bool = False,
    name: str | None = None,
) -> Any:
    """A field of a filter input.

    `on` is the stored field, where it has another name; `node` is the type whose global ids are the values, and
    `as_text` says that their keys are stored as text (as MongoDB stores the keys of PostgreSQL). With `presence`, it
    asks whether the stored field has a value.
    """
    metadata = {"on": on, "node": node, "as_text": as_text, "presence": presence}
    return strawberry.field(default=strawberry.UNSET, description=description, name=name, metadata=metadata)


def condition_of(filter_input: object | None) -> Condition:
    """The condition of a filter input. Fields that are null or absent don't filter.

    Raises BadUserInput for foreign or malformed ids, texts that no row can hold, and filters beyond the limits.
    """
    if filter_input is None:
        return EVERYTHING
    return _Compiler().compile(filter_input, depth=1)


def require_bounded(given: Mapping[str, Any]) -> None:
    """Raise BadUserInput for a filter beyond the limits. It is checked as the client sent it, before it is
    converted."""
    filters, pending = 0, [(given, 0)]
    while pending:
        part, depth = pending.pop()
        if depth > MAX_DEPTH:  # conditions are one level deeper than their filters
            raise _too_deep()
        filters += 1
        if filters > MAX_FILTERS + _MAX_OF_CONDITIONS:
            raise _too_many_filters()
        for value in part.values():
            if isinstance(value, list):
                _Compiler._bounded(value)
                pending += [(each, depth + 1) for each in value if isinstance(each, dict)]
            elif isinstance(value, dict):
                pending.append((value, depth + 1))


def _too_deep() -> BadUserInput:
    return BadUserInput(f"A filter nests at most {MAX_DEPTH} levels.")


def _too_many_filters() -> BadUserInput:
    return BadUserInput(f"A filter is made of at most {MAX_FILTERS} filters.")


class _Compiler:
    """Compiles a filter in one pass, and counts what is in it, so that the work stays bounded."""

    def __init__(self) -> None:
        self._conditions = 0
        self._filters = 0

    def compile(self, filter_input: Any, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            raise _too_deep()
        self._filters += 1
        if self._filters > MAX_FILTERS:
            raise _too_many_filters()
        parts: list[Condition] = []
        for field, value in _given(filter_input):
            match field.python_name:
                case "and_":
                    parts.append(And(tuple(self.compile(part, depth + 1) for part in self._bounded(value))))
                case "or_":
                    parts.append(Or(tuple(self.compile(part, depth + 1) for part in self._bounded(value))))
                case "deleted":
                    if depth > 1:
                        raise BadUserInput("deleted can't be combined with and, or and not.")
                case "not_":
                    parts.append(Not(self.compile(value, depth + 1)))
                case name:
                    target = field.metadata.get("on") or name
                    if field.metadata.get("presence"):
                        parts.append(self._count(target, "is_null", not value))
                        continue
                    if (node := field.metadata.get("node")) is not None:
                        keys = (decode_id_of(node, str(item)) for item in self._bounded(value))
                        value = [str(key) for key in keys] if field.metadata["as_text"] else list(keys)
                    parts.extend(self._compare(target, value))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _compare(self, target: str, value: Any) -> Iterator[Condition]:
        match value:
            case bool():
                yield self._count(target, "in", (value,))
            case list():
                yield self._count(target, "in", tuple(_scalar(item) for item in self._bounded(value)))
            case TextFilter() | TagsFilter() | IntRange() | DateTimeRange():
                yield from self._compare_parts(target, value)
            case _:
                raise TypeError(f"a filter on {target} can't be a {type(value).__name__}")

    def _compare_parts(self, target: str, value: Any) -> Iterator[Condition]:
        for field, part in _given(value):
            match field.python_name:
                case "equals":
                    yield self._count(target, "in", (_text(part),))
                case "in_":
                    yield self._count(target, "in", tuple(map(_text, self._bounded(part))))
                case "all" if not part:
                    yield EVERYTHING  # no tags are asked for, so every object has all of them
                case "any" | "all" as name:
                    yield self._count(target, _TAGS[name], tuple(map(_text, self._bounded(part))))
                case "contains" | "starts_with" | "gt" | "gte" | "lt" | "lte" as operator:
                    yield self._count(target, operator, _scalar(part))

    def _count(self, target: str, operator: Operator, value: Any) -> Compare:
        self._conditions += 1
        if self._conditions > MAX_VALUES:
            raise BadUserInput(f"A filter has at most {MAX_VALUES} conditions.")
        return Compare(target, operator, value)

    @staticmethod
    def _bounded(values: list[Any]) -> list[Any]:
        if len(values) > MAX_VALUES:
            raise BadUserInput(f"A filter takes at most {MAX_VALUES} values in a list; this one has {len(values)}.")
        return values


def _given(filter_input: Any) -> Iterator[tuple[Any, Any]]:
    definition: StrawberryObjectDefinition = filter_input.__strawberry_definition__
    for field in definition.fields:
        value = getattr(filter_input, field.python_name)
        if value is not None and value is not strawberry.UNSET:
            yield field, value


def _scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return _text(value)
    return value


def _text(value: str) -> str:
    if len(value) > MAX_TEXT:
        raise BadUserInput(f"A text to filter by has at most {MAX_TEXT} characters; this one has {len(value)}.")
    if "\x00" in value:
        raise BadUserInput("A text can't contain a null character.")
    return composed(value)
