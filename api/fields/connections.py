"""The GraphQL types of Relay's connections, their edges and their page info."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Generic, Protocol, Self, TypeVar

import strawberry

from api.fields.selection import CURSOR
from api.lists.pagination import Page

T = TypeVar("T")

COMPUTED: Final = {"computed": True}
"""Marks a method that computes a value from `self` alone, without waiting for anything."""
EXPRESSION: Final = "expression"
"""The same as a Python expression, for fields that lists have many of. `source` is the page, or an edge's page and
row."""

PAGE_OF_LIST: Final = (
    "One page of a list. Where the store of its objects is not available, `edges`, `nodes` and `totalCount` are null, "
    "each with an error."
)
CURSORS: Final = {**COMPUTED, CURSOR: True}


class MakesCursors(Protocol):
    """Makes the cursors of the rows of a list."""

    def of(self, row: Any) -> str:
        """The cursor of one of the rows."""


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether the list goes on after this page.")
    has_previous_page: bool = strawberry.field(description="Whether the list begins before this page.")
    start: strawberry.Private[tuple[MakesCursors, Any] | None]
    end: strawberry.Private[tuple[MakesCursors, Any] | None]

    @strawberry.field(description="Cursor of the first object of the page; null where it is empty.", metadata=CURSORS)
    def start_cursor(self) -> str | None:
        return _cursor(self.start)

    @strawberry.field(description="Cursor of the last object of the page; null where it is empty.", metadata=CURSORS)
    def end_cursor(self) -> str | None:
        return _cursor(self.end)


def _cursor(place: tuple[MakesCursors, Any] | None) -> str | None:
    return None if place is None else place[0].of(place[1])


@strawberry.type(description="An object in a list, and its place there.")
class Edge(Generic[T]):
    page: strawberry.Private[Page]
    row: strawberry.Private[Any]

    sources: ClassVar[tuple[type, ...]] = (tuple,)

    @strawberry.field(description="The object in this place.", metadata={**COMPUTED, EXPRESSION: "source[1]"})
    def node(self) -> T:
        node: T = self.page.node(self.row)
        return node

    @strawberry.field(
        description="Its place, for `after` and `before`.",
        metadata={**CURSORS, EXPRESSION: "source[0].cursors.of(source[1])"},
    )
    def cursor(self) -> str:
        return self.page.cursors.of(self.row)

    @classmethod
    def of(cls, page: Page, row: Any) -> Self:
        """The edge of a row. This takes a quarter of the time of the generated constructor, and a page has many
        edges."""
        edge = cls.__new__(cls)
        edge.page, edge.row = page, row
        return edge

    @classmethod
    def from_source(cls, source: Any) -> Any:
        """The edge that resolvers are called with; a source that is an edge already stays one."""
        return cls.of(*source) if isinstance(source, tuple) else source


@strawberry.type(description=PAGE_OF_LIST)
class Connection(Generic[T]):
    page: strawberry.Private[Page]

    sources: ClassVar[tuple[type, ...]] = (Page,)

    @classmethod
    def from_source(cls, source: Any) -> Any:
        """The connection that resolvers are called with; a source that is a connection already stays one."""
        return cls(page=source) if isinstance(source, Page) else source

    @strawberry.field(
        description="The objects of the page, each with its cursor.",
        metadata={**COMPUTED, EXPRESSION: "source.edges()"},
    )
    def edges(self) -> list[Edge[T]] | None:
        page = self.page
        return [Edge.of(page, row) for row in page.shown()]

    @strawberry.field(
        description="The objects of the page, where cursors are not needed.",
        metadata={**COMPUTED, EXPRESSION: "source.shown()"},
    )
    def nodes(self) -> list[T] | None:
        return list(map(self.page.node, self.page.shown()))

    @strawberry.field(description="Where the page lies in the list.", metadata=COMPUTED)
    def page_info(self) -> PageInfo:
        page = self.page
        # where the page could not be read, nodes and edges report it: `pageInfo` is never null in Relay
        rows, backwards = () if page.error else page.shown(), page.request.backwards
        return PageInfo(
            # beyond a cursor, there is at least the object that it points at
            has_next_page=page.request.before is not None or (not backwards and page.more),
            has_previous_page=page.request.after is not None or (backwards and page.more),
            start=(page.cursors, rows[0]) if rows else None,
            end=(page.cursors, rows[-1]) if rows else None,
        )

    @strawberry.field(description="How many objects the whole list has. Counted only when asked for.")
    async def total_count(self) -> int | None:
        return await self.page.length(self.page.owner)
