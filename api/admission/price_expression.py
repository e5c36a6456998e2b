"""A price as an expression of variables: a number plus multiples of steps.

A step is a page whose length is in a variable, a filter in a variable, a list with such a filter, or the most expensive
of several types. The steps are computed in order, each once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.admission.refusals import CAP
from api.fields.costs import LEAVES
from api.lists.costs import Listing, weight_of_given

Variables = Mapping[str, Any]
Size = Callable[[Variables], int]
"""Gives the length of a list, from the variables as the client sent them and the operation's defaults."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A number plus steps, each with a factor. `leaves` are added once all leaves of an object are known."""

    constant: int = 0
    steps: tuple[tuple[int, int], ...] = ()
    """Pairs of a factor and the index of a step."""
    leaves: int = 0

    def of_object(self) -> Sum:
        """The sum with the cost of an object's leaves added."""
        return Sum(self.constant + self.leaves // LEAVES, self.steps)

    def times(self, factor: int) -> Sum:
        return Sum(min(CAP, self.constant * factor), tuple((min(CAP, own * factor), step) for own, step in self.steps))

    def value(self, values: Sequence[int]) -> int:
        """The number, given the values of the steps."""
        return min(CAP, self.constant + sum(factor * values[step] for factor, step in self.steps))


ZERO: Final = Sum()


def total(sums: Iterable[Sum]) -> Sum:
    """The sum of sums."""
    constant, leaves, steps = 0, 0, dict[int, int]()
    for each in sums:
        constant = min(CAP, constant + each.constant)
        leaves += each.leaves
        for factor, step in each.steps:
            steps[step] = min(CAP, steps.get(step, 0) + factor)
    return Sum(constant, tuple((factor, step) for step, factor in steps.items()), leaves)


@dataclass(frozen=True, slots=True)
class Times:
    """A step: a sum times the length of a list."""

    size: Size
    of: Sum

    def value(self, values: Sequence[int], variables: Variables) -> int:
        return min(CAP, self.size(variables) * self.of.value(values))


@dataclass(frozen=True, slots=True)
class Dearest:
    """A step: the most expensive of the types that an object may have."""

    of: tuple[Sum, ...]

    def value(self, values: Sequence[int], variables: Variables) -> int:
        return max(each.value(values) for each in self.of)


@dataclass(frozen=True, slots=True)
class Weight:
    """A step: the weight of the conditions in a variable. `name` is the filter field that it is given for."""

    variable: str
    name: str

    def value(self, values: Sequence[int], variables: Variables) -> int:
        return min(CAP, weight_of_given(self.name, variables.get(self.variable)))


@dataclass(frozen=True, slots=True)
class Filtered:
    """A step: what a filtered list costs beyond its fields."""

    listing: Listing
    weight: Sum

    def value(self, values: Sequence[int], variables: Variables) -> int:
        return min(CAP, self.listing.surcharge(self.weight.value(values)))


Step = Times | Dearest | Weight | Filtered


@dataclass(frozen=True, slots=True)
class Price:
    """What an operation may cost at most."""

    sum: Sum
    steps: Sequence[Step]
    defaults: Variables

    def of(self, variables: Variables | None) -> int:
        """The price with these variables. They needn't be coerced yet, and may be invalid."""
        if not self.sum.steps:
            return self.sum.constant
        given = {**self.defaults, **(variables or {})}
        values: list[int] = []
        for step in self.steps:
            values.append(step.value(values, given))
        return self.sum.value(values)
