"""What lists cost by what is asked of them: conditions multiply what a page and a count cost.

A page without a filter follows an index and ends where it is full. With a filter it may have to look at all there is,
as a count does; and for each object that it looks at, at every condition. A list of everything is longer than one that
belongs to another object. What conditions weigh was measured: docs/using/cost.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import ListValueNode, NullValueNode, ObjectValueNode, ValueNode, VariableNode

from api.lists.conditions import And, Compare, Condition, Not, Or

READS: Final = frozenset(("edges", "nodes", "pageInfo"))
"""The fields of a connection for which its page is read."""
COUNTS: Final = "totalCount"

PAGE: Final = 2
"""A page, without its objects."""
COUNT: Final = 10
"""The length of a list that belongs to another object."""
WHOLE: Final = 100
"""Going through a list of everything, to count it or to look for what passes a filter."""

PLAIN: Final = 4
"""What going through a list weighs: a comparison weighs a quarter of it."""
COMPARISON: Final = 1
SEVERAL: Final = 6
"""One of several values."""
TEXT: Final = 8
"""A part of a text, which is folded to be compared."""
TAGS: Final = 24
"""Tags, which lie inside of JSON; each tag is a comparison beside."""

_NESTING: Final = frozenset(("and", "or", "not"))
_WEIGHTS: Final[Mapping[str, int]] = {
    "contains": TEXT,
    "starts_with": TEXT,
    "startsWith": TEXT,
    "has_any": TAGS,
    "any": TAGS,
    "has_all": TAGS,
    "all": TAGS,
}
"""By operator, and by how clients call it; others compare with one value or with one of several."""


def weight_of(operator: str, values: int = 1) -> int:
    """What one condition weighs that compares with so many values."""
    weight = _WEIGHTS.get(operator, COMPARISON if values <= 1 else SEVERAL)
    return weight + values * COMPARISON if weight == TAGS else weight


def weight_of_condition(condition: Condition) -> int:
    """What all conditions in it weigh."""
    match condition:
        case Compare(_, operator, value):
            return weight_of(operator, len(value) if isinstance(value, tuple) else 1)
        case And(conditions) | Or(conditions):
            return sum(map(weight_of_condition, conditions))
        case Not(inner):
            return weight_of_condition(inner)


def weight_of_given(name: str, value: Any) -> int:
    """The same of a filter, or a part of one by its name in it, as a client has sent it in a variable: it needn't be
    coerced or even right."""
    weight = 0
    pending = [(name, value)]
    while pending:
        name, value = pending.pop()
        if isinstance(value, dict):
            pending.extend(value.items())
        elif isinstance(value, list) and (name in _NESTING or any(isinstance(each, dict) for each in value)):
            pending.extend((name, each) for each in value)
        elif value is not None:
            weight += weight_of(name, len(value) if isinstance(value, list) else 1)
    return weight


def weight_of_node(name: str, node: ValueNode) -> tuple[int, Counter[tuple[str, str]]]:
    """The same of a filter in a document, and the variables in it: their names, and what is in their place."""
    weight, variables = 0, Counter[tuple[str, str]]()
    pending = [(name, node)]
    while pending:
        name, node = pending.pop()
        if isinstance(node, VariableNode):
            variables[node.name.value, name] += 1
        elif isinstance(node, ObjectValueNode):
            pending.extend((each.name.value, each.value) for each in node.fields)
        elif isinstance(node, ListValueNode) and name in _NESTING:
            pending.extend((name, each) for each in node.values)
        elif not isinstance(node, NullValueNode):
            weight += weight_of(name, len(node.values) if isinstance(node, ListValueNode) else 1)
    return weight, variables


@dataclass(frozen=True, slots=True)
class Listing:
    """How a list is asked for: whether it is one of everything, whether a page of it is read, and whether it is
    counted."""

    whole: bool
    reads: bool
    counts: bool

    def surcharge(self, weight: int) -> int:
        """What it costs beyond its fields, with conditions that weigh so much."""
        points = 0
        if self.reads and weight:
            points += _times(WHOLE if self.whole else PAGE, weight) - PAGE
        if self.counts:
            points += _times(WHOLE if self.whole else COUNT, weight) - COUNT
        return points


def _times(points: int, weight: int) -> int:
    return points * (PLAIN + weight) // PLAIN
