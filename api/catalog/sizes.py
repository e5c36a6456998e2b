"""Size tables of catalog items: the girths of a garment by the name of a size.

They are stored in `properties.sizes`: `{"M": {"chest": 96, "waist": 80, "hips": 100}}`, in cm. A size that lacks one
of the three, or has anything but a length there, counts as if it weren't stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeGuard

import strawberry
from graphql import Undefined

from api.fields.resolvers.values import Stored
from api.stores.views import Part

GIRTHS: Final = ("chest", "waist", "hips")
MAX_SIZES: Final = 30
MAX_GIRTH: Final = 500
"""In cm."""
Girths = tuple[float, ...]
"""Chest, waist and hips."""
SizeTable = dict[str, Girths]


@strawberry.type(description="A size of a garment.")
class CatalogItemSize(Part):
    name: str = strawberry.field(description="What it is called, such as `M` or `42`.")
    chest: float = strawberry.field(description="Girth of the garment at the chest, in cm.")
    waist: float = strawberry.field(description="Girth of the garment at the waist, in cm.")
    hips: float = strawberry.field(description="Girth of the garment at the hips, in cm.")


def girths_of(stored: Any) -> Girths | None:
    """The three girths in a stored object; None where one is missing or is no length."""
    if not isinstance(stored, dict):
        return None
    found = [stored.get(name) for name in GIRTHS]
    lengths = [float(girth) for girth in found if _is_number(girth) and 0 < girth <= MAX_GIRTH]
    return tuple(lengths) if len(lengths) == len(GIRTHS) else None


def _is_number(value: Any) -> TypeGuard[float]:
    return type(value) in (int, float)


def table_of(stored: Any) -> SizeTable:
    """The sizes of a stored size table, the smallest first; at most as many as an item may have."""
    if not isinstance(stored, dict):
        return {}
    known = ((name, girths) for name, size in stored.items() if (girths := girths_of(size)) is not None)
    return dict(sorted(known, key=lambda size: (size[1], size[0]))[:MAX_SIZES])


@dataclass(frozen=True, slots=True)
class StoredSizes(Stored):
    """The sizes of an item; those that can't be shown are odd values, and so is a table that is no object."""

    def read(self, source: Any) -> Any:
        stored = Stored.read(self, source)
        if stored is self.default:
            return stored
        if not isinstance(stored, dict):
            return Undefined
        table = table_of(stored)
        sizes: list[Any] = [{"name": name, **dict(zip(GIRTHS, girths, strict=True))} for name, girths in table.items()]
        return sizes if all(map(girths_of, stored.values())) else [*sizes, Undefined]
