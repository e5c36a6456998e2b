"""Which garments fit a body, and in which size.

The ease of a measure is the garment's girth less that of the body. A size fits where no ease is negative and none is
more than `MOST_EASE`. Of the sizes that fit, the one with the least ease in all is taken, of equal ones the first by
name; and so are items ordered, of equal ones the newest first. A body without one of the three measures fits nothing:
what it lacks can't be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from api.avatars.policy import OWNER
from api.execution import Loading
from api.fields.resolvers.base import Values
from api.fields.selection import ResolveInfo
from api.lists.pagination import size_of
from api.stores.views import read

MEASURES: Final = ("chest", "waist", "hips")
MOST_EASE: Final = 20.0
"""In cm: what is wider than that hangs off the body."""
_PLACES: Final = 2

Girths = tuple[float, ...]
"""Chest, waist and hips, in cm."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A size that fits, and its ease at the chest, the waist and the hips."""

    size: str
    ease: Girths

    @property
    def total(self) -> float:
        """All ease together."""
        return sum(self.ease)


def fit_of(body: Girths, sizes: Mapping[str, Girths]) -> Fit | None:
    """The size that fits best; None where none fits."""
    fits = [fit for name, girths in sizes.items() if (fit := _fit(body, name, girths)) is not None]
    return min(fits, key=lambda fit: (fit.total, fit.size), default=None)


def _fit(body: Girths, name: str, girths: Girths) -> Fit | None:
    ease = tuple(round(garment - own, _PLACES) for garment, own in zip(girths, body, strict=True))
    return Fit(name, ease) if all(0 <= one <= MOST_EASE for one in ease) else None


def fitting(body: Girths, tables: Iterable[tuple[Any, Mapping[str, Girths]]], first: int) -> list[tuple[Any, Fit]]:
    """The items that fit best, by id; their size tables come the newest item first."""
    found = [(id, fit) for id, sizes in tables if (fit := fit_of(body, sizes)) is not None]
    return sorted(found, key=lambda item: item[1].total)[:first]


def body_of(measurements: Any) -> Girths | None:
    """The three measures of a body; None where one is missing or is no length."""
    if not isinstance(measurements, dict):
        return None
    found = [measurements.get(name) for name in MEASURES]
    lengths = [float(girth) for girth in found if isinstance(girth, int | float) and girth > 0]
    return tuple(lengths) if len(lengths) == len(MEASURES) else None


@dataclass(frozen=True, slots=True)
class FittingItems:
    """The items that fit each avatar; null where the viewer may not see its measurements. One statement for all."""

    def prepare(self, arguments: Mapping[str, Any]) -> int:
        return size_of("first", arguments.get("first"))

    def load(self, sources: Sequence[Any], info: ResolveInfo, first: int) -> Values:
        context = info.context
        known = [OWNER.allows(context.viewer, avatar) for avatar in sources]
        bodies = [
            body_of(read(avatar, "measurements")) if may else None for avatar, may in zip(sources, known, strict=True)
        ]

        def found(tables: Sequence[tuple[Any, Mapping[str, Girths]]]) -> list[list[dict[str, Any]] | None]:
            fits = partial(fitting, tables=tables, first=first)
            lists = [fits(body) if body is not None else [] for body in bodies]
            return [list(map(_part, one)) if may else None for one, may in zip(lists, known, strict=True)]

        if not first or not any(bodies):
            return found(())
        scope = context.policy("CatalogItem").scope(context.viewer)
        return Loading(context.loader("size_tables").load(scope), found)


def _part(found: tuple[Any, Fit]) -> dict[str, Any]:
    id, fit = found
    return {"itemId": id, "size": fit.size, "ease": dict(zip(MEASURES, fit.ease, strict=True))}
