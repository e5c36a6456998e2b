"""What a price is made of: a sum of a number and of multiples of steps.

A step is a page whose length a variable decides, a filter in a variable, a list that is filtered by one, or the dearest
of several types. They are computed one after the other, each once.
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
"""The length of a list, from the variables as the client sent them, with the operation's defaults."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A number, and steps with their factors; leaves count once it is known how many an object has."""

    constant: int = 0
    steps: tuple[tuple[int, int], ...] = ()
    """Each is a factor and the number of a step."""
    leaves: int = 0

    def of_object(self) -> Sum:
        """The same, with the leaves of one object in it."""
        return Sum(self.constant + self.leaves // LEAVES, self.steps)

    def times(self, factor: int) -> Sum:
        return Sum(min(CAP, self.constant * factor), tuple((min(CAP, own * factor), step) for own, step in self.steps))

    def value(self, values: Sequence[int]) -> int:
        """With the values of the steps so far."""
        return min(CAP, self.constant + sum(factor * values[step] for factor, step in self.steps))


ZERO: Final = Sum()


def total(sums: Iterable[Sum]) -> Sum:
    """All of them together."""
    constant, leaves, steps = 0, 0, dict[int, int]()
    for each in sums:
        constant = min(CAP, constant + each.constant)
        leaves += each.leaves
        for factor, step in each.steps:
            steps[step] = min(CAP, steps.get(step, 0) + factor)
    return Sum(constant, tuple((factor, step) for step, factor in steps.items()), leaves)


@dataclass(frozen=True, slots=True)
class Times:
    """A step: as many times as the list is long."""

    size: Size
    of: Sum

    def value(self, values: Sequence[int], variables: Variables) -> int:
        return min(CAP, self.size(variables) * self.of.value(values))


@dataclass(frozen=True, slots=True)
class Dearest:
    """A step: an object has one type only, which may be the dearest."""

    of: tuple[Sum, ...]

    def value(self, values: Sequence[int], variables: Variables) -> int:
        return max(each.value(values) for each in self.of)


@dataclass(frozen=True, slots=True)
class Weight:
    """A step: what the conditions weigh that a variable has in the place of `name`."""

    variable: str
    name: str

    def value(self, values: Sequence[int], variables: Variables) -> int:
        return min(CAP, weight_of_given(self.name, variables.get(self.variable)))


@dataclass(frozen=True, slots=True)
class Filtered:
    """A step: what a list costs beyond its fields, by the weight of its filter."""

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
        """The price with these variables, which needn't be coerced or even right."""
        if not self.sum.steps:
            return self.sum.constant
        given = {**self.defaults, **(variables or {})}
        values: list[int] = []
        for step in self.steps:
            values.append(step.value(values, given))
        return self.sum.value(values)
