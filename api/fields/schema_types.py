"""From the types of the GraphQL schema to the Python classes behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from strawberry.types.base import StrawberryObjectDefinition

DEFINITION: Final = "strawberry-definition"
"""The extension of a type or a field that holds Strawberry's definition of it."""


def class_of(graphql_type: Any) -> type:
    """The Python class of a Strawberry object type; for variants of a generic type, the generic class."""
    definition: StrawberryObjectDefinition = graphql_type.extensions[DEFINITION]
    generic = definition.concrete_of
    return definition.origin if generic is None else generic.origin


def from_source(graphql_type: Any) -> Callable[[Any], Any] | None:
    """The function that turns a source of this type into the object whose methods are its resolvers; None if it is
    one."""
    if not isinstance(graphql_type.extensions.get(DEFINITION), StrawberryObjectDefinition):
        return None
    present: Callable[[Any], Any] | None = getattr(class_of(graphql_type), "from_source", None)
    return present
