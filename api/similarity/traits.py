"""Traits: what two things are compared by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

MAX_TAGS: Final = 50
"""Tags that are looked at, of something that another program gave more."""

NONE: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Traits:
    """What something is like. An item has at most one colour, material, type and category; a design those of its
    layers."""

    tags: frozenset[str] = NONE
    colours: frozenset[str] = NONE
    materials: frozenset[str] = NONE
    categories: frozenset[str] = NONE
    types: frozenset[str] = NONE


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that may be similar."""

    id: Any
    created_at: datetime
    traits: Traits


def texts(stored: Any) -> frozenset[str]:
    """The texts in a stored list; what else another program has stored is left out."""
    if not isinstance(stored, list):
        return NONE
    return frozenset(value for value in stored[:MAX_TAGS] if isinstance(value, str) and value)


def text(stored: Any) -> frozenset[str]:
    """A stored text; none where something else is stored."""
    return frozenset((stored,)) if isinstance(stored, str) and stored else NONE


def all_of(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    """What any of the sets has."""
    return NONE.union(*sets)
