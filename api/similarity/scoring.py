"""How similar two things are, from 0 to 1, and why.

They are compared by five traits. Each has a weight, and a closeness from 0 to 1:

- tags, materials, categories, types: the part that both have of what either has. Of the tags *linen, summer* and
  *summer, light*, that is 1 of 3.
- colours: 1 for the same colour, less the further apart they look, 0 from `FAR` on. Where one has several colours, each
  colour of either is compared with the nearest one of the other, and the mean counts. A colour that the table of
  colours doesn't have is only close to itself.

The score is the mean of the closenesses by their weights. A trait that the thing itself lacks doesn't count; one that
only the other lacks is not close at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import fsum
from typing import Any, Final

from api.colours.distance import between
from api.colours.table import colour_of
from api.similarity.traits import Candidate, Traits

TAGS, COLOUR, MATERIAL, CATEGORY, TYPE = "tags", "color", "material", "category", "type"

WEIGHTS: Final = {TAGS: 0.30, COLOUR: 0.25, MATERIAL: 0.20, CATEGORY: 0.15, TYPE: 0.10}
FAR: Final = 30.0
"""The CIEDE2000 distance from which on colours have nothing in common: a little more than that of red and orange."""
PLACES: Final = 4
"""Decimal places of scores: what differs less is equally similar."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A trait that counted: its weight among those that the thing has, how close it is, and what is shared of it. Of
    colours, `values` are those of the other."""

    kind: str
    weight: float
    closeness: float
    values: tuple[str, ...]

    @property
    def score(self) -> float:
        """Its part of the whole score."""
        return self.weight * self.closeness


@dataclass(frozen=True, slots=True)
class Match:
    """Something similar, and the reasons, those that count most first."""

    id: Any
    score: float
    reasons: tuple[Reason, ...]


def most_similar(subject: Traits, candidates: Iterable[Candidate], first: int) -> list[Match]:
    """The most similar candidates, the best first. Of equally similar ones, the newest comes first, then the greatest
    id; what has nothing in common is left out."""
    newest_first = sorted(candidates, key=lambda one: (one.created_at, str(one.id)), reverse=True)
    scored = [(round(score_of(subject, candidate.traits), PLACES), candidate) for candidate in newest_first]
    scored.sort(key=lambda pair: -pair[0])  # keeps the order of equals
    return [
        Match(candidate.id, score, reasons_of(subject, candidate.traits))
        for score, candidate in scored[:first]
        if score
    ]


def score_of(subject: Traits, other: Traits) -> float:
    """How similar the other is to the subject."""
    whole = weight_of(subject)
    if not whole:
        return 0.0
    return fsum(WEIGHTS[kind] * closeness for kind, closeness in closenesses(subject, other)) / whole


def reasons_of(subject: Traits, other: Traits) -> tuple[Reason, ...]:
    """Why it is that similar."""
    whole = weight_of(subject)
    found = [
        Reason(kind, WEIGHTS[kind] / whole, closeness, shared(kind, subject, other))
        for kind, closeness in closenesses(subject, other)
        if closeness
    ]
    return tuple(sorted(found, key=lambda reason: (-round(reason.score, PLACES), reason.kind)))


def weight_of(subject: Traits) -> float:
    """The weights of the traits that it has, together."""
    return fsum(WEIGHTS[kind] for kind, values in _by_kind(subject) if values)


def closenesses(subject: Traits, other: Traits) -> Sequence[tuple[str, float]]:
    """How close each trait is."""
    return (
        (TAGS, overlap(subject.tags, other.tags)),
        (COLOUR, closeness_of_colours(subject.colours, other.colours)),
        (MATERIAL, overlap(subject.materials, other.materials)),
        (CATEGORY, overlap(subject.categories, other.categories)),
        (TYPE, overlap(subject.types, other.types)),
    )


def overlap(first: frozenset[str], second: frozenset[str]) -> float:
    """The part that both have of what either has."""
    common = len(first & second)
    return common / len(first | second) if common else 0.0


def closeness_of_colours(first: frozenset[str], second: frozenset[str]) -> float:
    """How close the colours are, each to the nearest one of the others."""
    if not first or not second:
        return 0.0
    nearest = [max(closeness_of(one, other) for other in second) for one in first]
    nearest += [max(closeness_of(one, other) for one in first) for other in second]
    return fsum(nearest) / len(nearest)


@lru_cache(maxsize=16_384)
def closeness_of(first: str, second: str) -> float:
    """How close two colours are, as they are written."""
    if first == second:
        return 1.0
    one, other = colour_of(first), colour_of(second)
    if one is None or other is None:
        return 0.0
    return max(0.0, 1 - between(one.lab, other.lab) / FAR)


def shared(kind: str, subject: Traits, other: Traits) -> tuple[str, ...]:
    """What both have of a trait; of colours, those of the other that are close."""
    ours, theirs = dict(_by_kind(subject))[kind], dict(_by_kind(other))[kind]
    if kind != COLOUR:
        return tuple(sorted(ours & theirs))
    return tuple(sorted(one for one in theirs if any(closeness_of(mine, one) for mine in ours)))


def _by_kind(traits: Traits) -> Sequence[tuple[str, frozenset[str]]]:
    return (
        (TAGS, traits.tags),
        (COLOUR, traits.colours),
        (MATERIAL, traits.materials),
        (CATEGORY, traits.categories),
        (TYPE, traits.types),
    )
