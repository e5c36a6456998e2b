"""Scalars and enums: values as they go into the response."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLString,
    Undefined,
)

from api.execution.errors import invalid_leaf

Leaf = Callable[[Any], Any]

# what the builtin scalars leave as it is, as a test in Python on `v`; anything else is theirs to judge
_UNCHANGED: Final[Mapping[GraphQLLeafType, str]] = {
    GraphQLString: "type(v := {value}) is str",
    GraphQLID: "type(v := {value}) is str",
    GraphQLBoolean: "type(v := {value}) is bool",
    GraphQLInt: "type(v := {value}) is int and -2147483648 <= v <= 2147483647",
    GraphQLFloat: "type(v := {value}) is float and v - v == 0.0",  # neither infinite nor no number
}


def leaf(type_: GraphQLLeafType) -> Leaf:
    """The function that completes one value, neither null nor a failure, of a scalar or an enum.

    It raises whatever the type raises, and TypeError where it returns nothing.
    """
    coerce = type_.coerce_output_value

    def complete(value: Any) -> Any:
        completed = coerce(value)
        if completed is None or completed is Undefined:
            raise invalid_leaf(type_, value, completed)
        return completed

    return EnumLeaf(complete) if isinstance(type_, GraphQLEnumType) else complete


class EnumLeaf:
    """An enum has few values: `known` holds the names of those that were seen.

    Only texts, as stored values are, can't be mistaken for another (1 and True are equal).
    """

    __slots__ = ("_complete", "known")

    def __init__(self, complete: Leaf) -> None:
        self._complete = complete
        self.known: dict[str, str] = {}

    def __call__(self, value: Any) -> Any:
        if type(value) is not str:
            return self._complete(value)
        name = self.known.get(value)
        if name is None:
            name = self.known[value] = self._complete(value)
        return name


_CLASSES: Final[Mapping[GraphQLLeafType, type]] = {GraphQLString: str, GraphQLID: str, GraphQLBoolean: bool}
"""The builtin scalars that leave every instance of a class as it is."""


def all_unchanged(type_: GraphQLLeafType | None) -> Callable[[Iterable[type]], bool] | None:
    """A test of the classes of many values that tells that the type leaves all of them as they are, if there is one."""
    class_ = None if type_ is None else _CLASSES.get(type_)
    return None if class_ is None else frozenset((class_,)).issuperset


def unchanged(type_: GraphQLLeafType, value: str) -> str | None:
    """A test in Python that binds the value of this expression to `v` and tells that the type leaves it as it is."""
    test = _UNCHANGED.get(type_)
    return None if test is None else test.format(value=value)
