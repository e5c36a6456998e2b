"""What lists cost: conditions multiply the cost of a page and of a count.

A page without a filter follows an index and ends when it is full. With a filter it may have to look at all objects, as
a count does, and to check every condition for each of them. A list of everything is longer than a list that belongs to
another object. The weights of conditions were measured: docs/using/cost.md.
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
FACETS: Final = "facets"
"""The field of a connection for which its list is gone through, too; its fields group what was found, each once."""

PAGE: Final = 2
"""The cost of a page, without its objects."""
COUNT: Final = 10
"""The cost of counting a list that belongs to another object."""
WHOLE: Final = 100
"""The cost of going through a list of everything, to count it or to filter it."""

PLAIN: Final = 4
"""The weight of going through a list. A comparison adds a quarter of that."""
COMPARISON: Final = 1
SEVERAL: Final = 6
"""The weight of comparing with several values."""
TEXT: Final = 8
"""The weight of searching a text, which has to be folded first."""
TAGS: Final = 24
"""The weight of reading tags out of JSON. Each tag adds a comparison."""

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
"""By operator, and by its name in filters. Other operators compare with one value or with several."""


def weight_of(operator: str, values: int = 1) -> int:
    """The weight of one condition that compares with so many values."""
    weight = _WEIGHTS.get(operator, COMPARISON if values <= 1 else SEVERAL)
    return weight + values * COMPARISON if weight == TAGS else weight


def weight_of_condition(condition: Condition) -> int:
    """The weight of all comparisons in a condition."""
    match condition:
        case Compare(_, operator, value):
            return weight_of(operator, len(value) if isinstance(value, tuple) else 1)
        case And(conditions) | Or(conditions):
            return sum(map(weight_of_condition, conditions))
        case Not(inner):
            return weight_of_condition(inner)


def weight_of_given(name: str, value: Any) -> int:
    """The weight of a filter (or the part of it with this name) that a client sent in a variable.

    It isn't coerced yet, and may be invalid.
    """
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
    """The weight of a filter literal, and the variables in it: their names, and the names of their fields."""
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
    """How a list is used: whether it is a list of everything, whether a page is read, how often it is gone through
    (for its count, for its facets), and how many facets there are."""

    whole: bool
    reads: bool
    counts: int
    facets: int = 0

    def surcharge(self, weight: int) -> int:
        """What the list costs beyond its fields, with conditions of this weight."""
        points = 0
        if self.reads and weight:
            points += _times(WHOLE if self.whole else PAGE, weight) - PAGE
        points += self.counts * (_times(WHOLE if self.whole else COUNT, weight) - COUNT)
        # the conditions were looked at when the list was gone through
        return points + (self.facets * (WHOLE - COUNT) if self.whole else 0)


def _times(points: int, weight: int) -> int:
    return points * (PLAIN + weight) // PLAIN
