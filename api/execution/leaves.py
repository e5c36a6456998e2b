"""Scalars and enums: values as they go into the response, one at a time or a column at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from types import NoneType
from typing import Any, Final, NamedTuple

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

from api.execution.errors import Failure, invalid_leaf

Values = Sequence[Any]

_MIN_INT: Final = -(2**31)
_MAX_INT: Final = 2**31 - 1
_TEXT: Final = frozenset((str,))
_NOTHING: Final = frozenset((NoneType, type(Undefined)))
_ABSENT: Final = (Failure, Exception, type(Undefined))


class Inline(NamedTuple):
    """How a value is completed in generated code: an expression around `{value}`, and the names in it.

    `{complete}`, which is among them, is called with what the expression doesn't know.
    """

    code: str
    names: Mapping[str, Any]


class Leaf:
    """How the values of a scalar or an enum are completed."""

    __slots__ = ("_coerce", "_type", "unchanged")

    is_short = False
    """Whether no value takes more than a few bytes of the answer."""

    def __init__(self, type_: GraphQLLeafType) -> None:
        self.unchanged: type | None = None
        """A class whose instances stay as they are."""
        self._type = type_
        self._coerce = type_.coerce_output_value

    def one(self, value: Any) -> Any:
        """A value that is neither null nor a failure. Raises whatever the type raises, TypeError for nothing."""
        completed = self._coerce(value)
        if completed is None or completed is Undefined:
            raise invalid_leaf(self._type, value, completed)
        return completed

    def inline(self, complete: Callable[[Any], Any]) -> Inline | None:
        """How generated code completes a value; None where all at once is as quick. `complete` completes any value."""
        return None

    def all(self, values: Values) -> Values | None:
        """The completed values, nulls among them left as they are. None where they must be looked at one by one.

        It may raise, too, for values that fail.
        """
        kinds = set(map(type, values))
        for kind in kinds:
            if issubclass(kind, _ABSENT):
                return None
        return self._whole(values, kinds)

    def _whole(self, values: Values, kinds: set[type]) -> Values | None:
        if NoneType in kinds:
            one = self.one
            return [None if value is None else one(value) for value in values]
        completed = list(map(self._coerce, values))
        return completed if _NOTHING.isdisjoint(map(type, completed)) else None


class _Unchanged(Leaf):
    """A builtin scalar that leaves every instance of a class as it is."""

    __slots__ = ("_or_null",)

    def __init__(self, type_: GraphQLLeafType, class_: type) -> None:
        super().__init__(type_)
        self.unchanged = class_
        self._or_null = frozenset((class_, NoneType))

    def inline(self, complete: Callable[[Any], Any]) -> Inline | None:
        assert self.unchanged is not None
        code = f"(v if type(v := {{value}}) is {self.unchanged.__name__} else {{complete}}(v))"
        return Inline(code, {"complete": complete})

    def all(self, values: Values) -> Values | None:
        return values if self._or_null.issuperset(map(type, values)) else super().all(values)


class _Boolean(_Unchanged):
    """True and false stay as they are."""

    __slots__ = ()
    is_short = True


class _Int(Leaf):
    """Integers of 32 bits stay as they are."""

    __slots__ = ()
    is_short = True

    def inline(self, complete: Callable[[Any], Any]) -> Inline | None:
        test = f"type(v := {{value}}) is int and {_MIN_INT} <= v <= {_MAX_INT}"
        return Inline(f"(v if {test} else {{complete}}(v))", {"complete": complete})

    def _whole(self, values: Values, kinds: set[type]) -> Values | None:
        if kinds == {int} and min(values) >= _MIN_INT and max(values) <= _MAX_INT:
            return values
        return super()._whole(values, kinds)


class _Float(Leaf):
    """Finite floats stay as they are."""

    __slots__ = ()
    is_short = True

    def inline(self, complete: Callable[[Any], Any]) -> Inline | None:
        # the difference of what is infinite or no number is no number
        code = "(v if type(v := {value}) is float and v - v == 0.0 else {complete}(v))"
        return Inline(code, {"complete": complete})

    def _whole(self, values: Values, kinds: set[type]) -> Values | None:
        if kinds == {float} and all(map(isfinite, values)):
            return values
        return super()._whole(values, kinds)


class _Enum(Leaf):
    """An enum has few values: the names of those that were seen are kept.

    Only texts, as stored values are, can't be mistaken for another (1 and True are equal).
    """

    __slots__ = ("_known",)
    is_short = True

    def __init__(self, type_: GraphQLEnumType) -> None:
        super().__init__(type_)
        self._known: dict[str, str] = {}

    def one(self, value: Any) -> Any:
        if type(value) is not str:
            return super().one(value)
        name = self._known.get(value)
        if name is None:
            name = self._known[value] = super().one(value)
        return name

    def inline(self, complete: Callable[[Any], Any]) -> Inline | None:
        code = "({known}[v] if type(v := {value}) is str and v in {known} else {complete}(v))"
        return Inline(code, {"complete": complete, "known": self._known})

    def _whole(self, values: Values, kinds: set[type]) -> Values | None:
        if kinds == _TEXT and self._known.keys() >= set(values):
            return list(map(self._known.__getitem__, values))
        return list(map(self.one, values)) if NoneType not in kinds else super()._whole(values, kinds)


_TEXTS: Final = (GraphQLString, GraphQLID)
_OTHERS: Final[Mapping[GraphQLLeafType, Callable[[GraphQLLeafType], Leaf]]] = {GraphQLInt: _Int, GraphQLFloat: _Float}


def leaf(type_: GraphQLLeafType) -> Leaf:
    """How the values of this type are completed."""
    if isinstance(type_, GraphQLEnumType):
        return _Enum(type_)
    if type_ is GraphQLBoolean:
        return _Boolean(type_, bool)
    if type_ in _TEXTS:
        return _Unchanged(type_, str)
    return _OTHERS.get(type_, Leaf)(type_)
