"""What a plan does, level by level, for people: which fields are read, which are loaded together, which resolved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from api.execution.declarations import Batch, Plain

if TYPE_CHECKING:
    from api.execution.plan import FieldPlan, ObjectPlan

How = Literal["read", "loaded", "resolved"]


@dataclass(frozen=True, slots=True)
class DescribedField:
    """A field of a level: its key in the response, its name, and how it gets its values."""

    key: str
    name: str
    how: How


@dataclass(frozen=True, slots=True)
class DescribedLevel:
    """The objects of one type at one place of the response; `path` are the keys that lead there."""

    path: tuple[str, ...]
    type: str
    fields: tuple[DescribedField, ...]


def levels(plan: ObjectPlan, path: tuple[str, ...] = ()) -> Iterator[DescribedLevel]:
    """The levels that were reached so far, each before those below it."""
    fields = tuple(DescribedField(field.key, field.name, _how(field)) for field in plan.fields)
    yield DescribedLevel(path, plan.type.name, fields)
    for field in plan.fields:
        for below in field.reached:
            yield from levels(below, (*path, field.key))


def _how(field: FieldPlan) -> How:
    if field.constant is not None or isinstance(field.declaration, Plain):
        return "read"
    return "loaded" if isinstance(field.declaration, Batch) else "resolved"
