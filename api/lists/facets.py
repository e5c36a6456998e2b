"""Facets: which values a field has in a list, and how many objects have each.

A facet is asked over a condition, and answered by one statement together with all others over the same condition. What
the client asks of its own field is left out of it, so that the values beside the chosen ones are still counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from api.lists.conditions import And, Condition, fields_of
from api.lists.histogram import Bucket

LONGEST: Final = 255
"""The most characters of a value; what is longer is cut off, as no filter asks for more."""


class FacetQuestion(NamedTuple):
    """What facets are asked over: the lists of everything or of owners (by which field), and the objects in them.

    `condition` is what the client asks for, `scope` what the viewer may see. Of a search, `words` is PostgreSQL's text
    of what is searched.
    """

    by: str | None
    condition: Condition
    scope: Condition
    words: str | None = None


class Faceted(NamedTuple):
    """Whatever has facets: who loads them, what is asked, of which owner, and whether they go through everything."""

    loader: str
    question: FacetQuestion
    owner: Any = None
    whole: bool = False


class FacetKey(NamedTuple):
    """One facet of one list: its `size` most frequent values. Of numbers, it is their range, with a histogram unless
    `size` is 0."""

    question: FacetQuestion
    owner: Any
    field: str
    size: int

    def of(self, answer: Answer) -> Answer:
        """As much of the answer as this key asks for: others may have asked for more of the same field."""
        return answer if isinstance(answer, NumberRange) else answer[: self.size]


@dataclass(frozen=True, slots=True)
class ValueCount:
    """A value (None where objects have none), and how many objects have it."""

    value: Any
    count: int


@dataclass(frozen=True, slots=True)
class NumberRange:
    """The smallest and the greatest number, None where there is none, and how many lie where between them."""

    min: int | None
    max: int | None
    histogram: Sequence[Bucket]


Answer = Sequence[ValueCount] | NumberRange


@dataclass(frozen=True, slots=True)
class Facets:
    """Facets that go together: the condition of all, and for each field its size and what the client asks of it
    alone."""

    condition: Condition
    sizes: Mapping[str, int]
    own: Mapping[str, Condition]


def facets_of(question: FacetQuestion, keys: Iterable[FacetKey]) -> Facets:
    """What the store has to be asked for these keys of one question.

    A field's own conditions are those of the filter, and of every `and` in it, that name this field and no other.
    """
    sizes: dict[str, int] = {}
    for key in keys:
        sizes[key.field] = max(sizes.get(key.field, 0), key.size)
    shared: list[Condition] = [question.scope]
    own: dict[str, list[Condition]] = {}
    for part in _parts(question.condition):
        names = fields_of(part)
        name = next(iter(names)) if len(names) == 1 else None
        if name in sizes:
            own.setdefault(name, []).append(part)
        else:
            shared.append(part)
    return Facets(And(tuple(shared)), sizes, {name: And(tuple(parts)) for name, parts in own.items()})


def _parts(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, And):
        for part in condition.conditions:
            yield from _parts(part)
    else:
        yield condition


def by_facet_question(keys: Sequence[FacetKey]) -> Mapping[FacetQuestion, list[FacetKey]]:
    """The keys of each distinct question. One statement answers all of them."""
    questions: dict[FacetQuestion, list[FacetKey]] = {}
    for key in keys:
        questions.setdefault(key.question, []).append(key)
    return questions


def most_frequent(counted: Iterable[Sequence[Any]], size: int) -> list[ValueCount]:
    """The first of these pairs of a value and its count. Equally frequent ones are in the order of their values, after
    none."""
    ordered = sorted(counted, key=lambda pair: (-pair[1], pair[0] is not None, pair[0]))
    return [ValueCount(value, count) for value, count in ordered[:size]]
