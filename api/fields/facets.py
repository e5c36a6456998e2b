"""What facets of all lists share: how they are declared, and the GraphQL types of their values."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Protocol, Self

import strawberry

from api.fields.connections import COMPUTED, EXPRESSION
from api.fields.declared import batched
from api.fields.resolvers.facets import FacetOf, RangeOf
from api.lists.facets import Faceted, NumberRange, ValueCount
from api.lists.histogram import Bucket
from api.lists.pagination import DEFAULT_SIZE, MAX_SIZE, Page

FACETS: Final = (
    "The values of the objects in the whole list, and how many objects have each; counted only when asked for. A facet "
    "is counted without what the filter asks of that field alone, be it in the filter itself or inside its `and`: "
    "conditions that name another field as well stay, such as an `or` of two fields."
)
OF_PAGE: Final = {**COMPUTED, EXPRESSION: "source"}
"""Marks a field of a connection whose object is known by the page alone."""


def facet(field: str, description: str) -> Any:
    """Declare the most frequent values of this field of a list's objects."""
    first = f"How many values, the most frequent ones; at most {MAX_SIZE}, {DEFAULT_SIZE} where it is not given."
    return batched(FacetOf(field), needs=(), description=description, first=first)


def range_of(field: str, description: str) -> Any:
    """Declare the range of the whole numbers in this field of a list's objects."""
    return batched(RangeOf(field), needs=(), description=description)


class HasFacets(Protocol):
    """A page of a list, or the result of a search."""

    @property
    def faceted(self) -> Faceted:
        """How its facets are asked for."""


class OfPage:
    """A GraphQL type of the facets of a list, which is known by its page, or of a search."""

    sources: ClassVar[tuple[type, ...]] = (Page,)
    page: strawberry.Private[HasFacets]

    @classmethod
    def of(cls, page: HasFacets) -> Self:
        """The facets of the list that this is a page of."""
        facets = cls.__new__(cls)
        facets.page = page
        return facets


@strawberry.type(description="A text, and how many objects of the list have it.")
class TextCount:
    sources: ClassVar[tuple[type, ...]] = (ValueCount,)

    value: str | None = strawberry.field(
        description="The text, at most its first 255 characters; null stands for the objects that have none."
    )
    count: int = strawberry.field(description="How many objects.")


@strawberry.type(description="True or false, and for how many objects of the list it is.")
class BooleanCount:
    sources: ClassVar[tuple[type, ...]] = (ValueCount,)

    value: bool = strawberry.field(description="True or false.")
    count: int = strawberry.field(description="How many objects.")


@strawberry.type(description="Numbers that lie close together, and how many objects of the list have one of them.")
class NumberBucket:
    sources: ClassVar[tuple[type, ...]] = (Bucket,)

    lowest: int = strawberry.field(name="from", description="The smallest number that belongs to it.")
    highest: int = strawberry.field(name="to", description="The greatest number that belongs to it.")
    count: int = strawberry.field(description="How many objects; 0 between others that have some.")


@strawberry.type(description="Between which numbers the objects of the list lie, and how many where.")
class NumberFacet:
    sources: ClassVar[tuple[type, ...]] = (NumberRange,)

    min: int | None = strawberry.field(description="The smallest number; null where the list is empty.")
    max: int | None = strawberry.field(description="The greatest number; null where the list is empty.")
    histogram: list[NumberBucket] = strawberry.field(
        description="How many objects lie where: at most 20 ranges of the same width, which is 1, 2 or 5 with zeros "
        "behind it, in ascending order from that of `min` to that of `max`."
    )
