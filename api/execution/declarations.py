"""What a schema may tell the executor about its fields, so that it needn't call their resolvers one by one.

The resolver of a field without a declaration is called as usual. A declaration must give exactly what the field's
resolver would give; it does so for all objects of a level at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from graphql import GraphQLField, GraphQLObjectType, GraphQLResolveInfo
from graphql.pyutils import Path


class FieldPath(Path):
    """The path of a field, with the object that it is read off, and the field's name, whatever its alias."""

    source: Any
    name: str


Substitute = Callable[[Path], Any]
"""Gives what to show in place of a stored value that the field's type can't show. It gets the path of the field.

What it gives is only used where the field can't be null; else the value becomes null, and an item of a list is left
out. It isn't called where reading the value raises."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A value that is read off the source, without arguments and without waiting. Reading it twice gives the same.

    `expression` says the same as `read`, as a Python expression of the name `source` and builtins; generated code is
    made of it. `read_all` reads all sources of a level at once, where that is quicker, and gives one value a source.
    Both may raise where `read` would not (the sources are then read one by one), but they never give another value.
    """

    read: Callable[[Any], Any]
    expression: str | None = None
    read_all: Callable[[Sequence[Any]], Sequence[Any]] | None = None
    substitute: Substitute | None = None


@dataclass(frozen=True, slots=True)
class Loading:
    """Values that are being loaded: an awaitable, and how its result becomes one value for each source.

    `values(result)` gives these. `values_on_error(error)` may give values when the awaitable raises; where there is no
    such function, or it gives None, the field fails for every source.
    """

    awaitable: Awaitable[Any]
    values: Callable[[Any], Sequence[Any]]
    values_on_error: Callable[[Exception], Sequence[Any] | None] | None = None


Load = Callable[[Sequence[Any], GraphQLResolveInfo[Any], Any], Sequence[Any] | Loading]
"""`load(sources, info, arguments)` gives one value for each source, in their order.

An exception among the values fails the field of that source; one that is raised fails the field of all. The path in
`info` has no indices of lists."""


Converted = dict[tuple[int, str], tuple[Any, Any]]
"""Arguments that were converted in one operation: `(id(value), name)` to the value and what it was converted to.

A variable's value is the same object wherever it is used, so it is converted once. The value is kept as well, so that
no other object can get the same id."""
Prepare = Callable[[Mapping[str, Any], Converted], Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Values that are loaded for all sources of a level with one call.

    An object that is loaded for several sources is executed once, and its part of the response is shared. `prepare`
    turns the coerced arguments into those that `load` takes. If there are no variables among them, that happens once a
    plan, so the result must not be changed.
    """

    load: Load
    prepare: Prepare | None = None
    substitute: Substitute | None = None


Declaration = Plain | Batch


@dataclass(frozen=True, slots=True)
class TextWeight:
    """What large texts cost: 1 for every `size` bytes, but no text more than `most`."""

    size: int
    most: int

    def of(self, size: int, count: int) -> int:
        """What `count` texts cost that are `size` bytes together."""
        return min(size // self.size, self.most * count)


class Declarations(Protocol):
    """The declarations of a schema's fields, and what the fields cost."""

    def field(self, parent: GraphQLObjectType, name: str, field: GraphQLField) -> Declaration | None:
        """The declaration of a field; None where its resolver is to be called."""
        ...

    def is_source(self, type_: GraphQLObjectType, class_: type) -> bool:
        """Whether instances of this Python class are always of this type, so that `is_type_of` needn't be asked."""
        ...

    def from_source(self, type_: GraphQLObjectType) -> Callable[[Any], Any] | None:
        """The function that turns what a declared field gave (such as a row) into the source that resolvers expect.

        None where resolvers get it as it is.
        """
        ...

    def weight(self, parent: GraphQLObjectType, name: str) -> int:
        """What executing the field for one object costs, in the caller's unit."""
        ...

    def item_weight(self, parent: GraphQLObjectType, name: str) -> int:
        """What each item of the field's list costs in addition."""
        ...

    def leaves_weight(self, count: int) -> int:
        """What `count` leaves of one object cost."""
        ...

    def text_weight(self, parent: GraphQLObjectType, name: str) -> TextWeight | None:
        """What the field's texts cost by their size; None where they cost nothing."""
        ...


class NothingDeclared:
    """A schema without declarations: every resolver is called."""

    def field(self, parent: GraphQLObjectType, name: str, field: GraphQLField) -> Declaration | None:
        return None

    def is_source(self, type_: GraphQLObjectType, class_: type) -> bool:
        return False

    def from_source(self, type_: GraphQLObjectType) -> Callable[[Any], Any] | None:
        return None

    def weight(self, parent: GraphQLObjectType, name: str) -> int:
        return 0

    def item_weight(self, parent: GraphQLObjectType, name: str) -> int:
        return 0

    def leaves_weight(self, count: int) -> int:
        return 0

    def text_weight(self, parent: GraphQLObjectType, name: str) -> TextWeight | None:
        return None
