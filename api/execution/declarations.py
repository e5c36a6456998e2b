"""What a schema may tell the executor about its fields, so that it needn't call their resolvers one by one.

A field without a declaration is called as it is. A declared one must behave exactly as its resolver would: the
declaration says the same thing for all objects of a level at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from graphql import GraphQLField, GraphQLObjectType, GraphQLResolveInfo
from graphql.pyutils import Path


class Place(Path):
    """The path of a field, with the object that it is read off and its own name, whatever the response calls it."""

    source: Any
    name: str


Instead = Callable[[Path], Any]
"""What a value reads as that its field can't show, told its place; where null may stand, null does, and an item of a
list is left out. It is not asked where reading fails."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A value that is read off the source: no arguments, nothing to wait for, the same however often it is read.

    `expression` is the same as `read` in Python, of the name `source` and builtins; generated code is made of it.
    `read_all`, where that is quicker, reads all sources of a level at once, one value a source. Both may raise where
    `read` would not (then the sources are read one by one), but never give another value.
    """

    read: Callable[[Any], Any]
    expression: str | None = None
    read_all: Callable[[Sequence[Any]], Sequence[Any]] | None = None
    instead: Instead | None = None


@dataclass(frozen=True, slots=True)
class Loading:
    """Values under way: what to wait for, and how to lay out what arrives, one value a source.

    `instead` may give values in place of what the awaitable raised; where it gives None, that fails every source's
    field.
    """

    awaitable: Awaitable[Any]
    place: Callable[[Any], Sequence[Any]]
    instead: Callable[[Exception], Sequence[Any] | None] | None = None


Load = Callable[[Sequence[Any], GraphQLResolveInfo[Any], Any], Sequence[Any] | Loading]
"""`load(sources, info, arguments)`: one value a source, in their order; an exception as a value fails that source's
field, one that is raised fails all. `info` is that of the field, its path without the indices of lists."""


Converted = dict[tuple[int, str], tuple[Any, Any]]
"""What was made of arguments in one operation, by the identity of the value and the argument's name, with the value (so
that the identity stays its own). A variable's value is the same object wherever it is used."""
Prepare = Callable[[Mapping[str, Any], Converted], Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Values that are loaded for all sources of a level with one call.

    An object that is loaded for many of them is executed once and shared. `prepare` turns the coerced arguments into
    what `load` takes; without variables among them that happens once a plan, so the result must not be changed.
    """

    load: Load
    prepare: Prepare | None = None
    instead: Instead | None = None


Declaration = Plain | Batch


@dataclass(frozen=True, slots=True)
class TextWeight:
    """What large texts cost: 1 for so many bytes of them, and each at most `most`."""

    size: int
    most: int

    def of(self, size: int, count: int) -> int:
        """What so many texts of this size together cost."""
        return min(size // self.size, self.most * count)


class Declarations(Protocol):
    """What is declared of a schema."""

    def field(self, parent: GraphQLObjectType, name: str, field: GraphQLField) -> Declaration | None:
        """The declaration of a field, None where its resolver is to be called."""
        ...

    def is_source(self, type_: GraphQLObjectType, class_: type) -> bool:
        """Whether instances of exactly this Python class are of this type, without asking `is_type_of`."""
        ...

    def presented(self, type_: GraphQLObjectType) -> Callable[[Any], Any] | None:
        """What makes of a source that a declared field gave what resolvers of the type are called with.

        None where that is the source itself.
        """
        ...

    def weight(self, parent: GraphQLObjectType, name: str) -> int:
        """What executing the field for one object costs, in whatever unit the caller counts."""
        ...

    def item_weight(self, parent: GraphQLObjectType, name: str) -> int:
        """What each item of the field's list costs besides."""
        ...

    def leaves_weight(self, count: int) -> int:
        """What so many leaves of one object cost."""
        ...

    def text_weight(self, parent: GraphQLObjectType, name: str) -> TextWeight | None:
        """What the texts of the field cost by their size; None where that is nothing."""
        ...


class NothingDeclared:
    """A schema that says nothing: every resolver is called."""

    def field(self, parent: GraphQLObjectType, name: str, field: GraphQLField) -> Declaration | None:
        return None

    def is_source(self, type_: GraphQLObjectType, class_: type) -> bool:
        return False

    def presented(self, type_: GraphQLObjectType) -> Callable[[Any], Any] | None:
        return None

    def weight(self, parent: GraphQLObjectType, name: str) -> int:
        return 0

    def item_weight(self, parent: GraphQLObjectType, name: str) -> int:
        return 0

    def leaves_weight(self, count: int) -> int:
        return 0

    def text_weight(self, parent: GraphQLObjectType, name: str) -> TextWeight | None:
        return None
