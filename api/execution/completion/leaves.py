"""Scalars and enums: their values are completed one at a time, or a whole column at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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

from api.execution.completion.base import Completion, Deliver, Inline
from api.execution.errors import Failure, invalid_leaf
from api.execution.paths import Paths
from api.execution.sizes import size_of_texts, size_of_values

if TYPE_CHECKING:
    from api.execution.execution import Execution
    from api.execution.plan import FieldPlan

Values = Sequence[Any]

_MIN_INT: Final = -(2**31)
_MAX_INT: Final = 2**31 - 1
_TEXT_OR_NULL: Final = frozenset((str, NoneType))
_NULL: Final = frozenset((None,))
_NOTHING: Final = frozenset((NoneType, type(Undefined)))
_ABSENT: Final = (Failure, Exception, type(Undefined))


class Known(NamedTuple):
    """The values that generated code completes by itself: an expression that tests `{value}` and calls it `v`.

    `result` is what they become, and `names` what other names in both stand for.
    """

    test: str
    result: str = "v"
    names: Mapping[str, Any] = {}


class Leaf:
    """How the values of a scalar or an enum are completed."""

    __slots__ = ("_coerce", "_type", "unchanged")

    is_short = False
    """Whether every value takes only a few bytes of the response, so that they needn't be measured."""

    def __init__(self, type_: GraphQLLeafType) -> None:
        self.unchanged: type | None = None
        """A class whose instances stay as they are."""
        self._type = type_
        self._coerce = type_.coerce_output_value

    def one(self, value: Any) -> Any:
        """The completed value of one that is neither null nor a failure.

        Raises whatever the type raises, and TypeError where it gives null.
        """
        completed = self._coerce(value)
        if completed is None or completed is Undefined:
            raise invalid_leaf(self._type, value, completed)
        return completed

    def inline(self) -> Known | None:
        """The values that generated code completes by itself; None where completing a whole column is as quick."""
        return None

    def all(self, values: Values) -> Values | None:
        """The completed values; nulls stay null. None, or an exception, where they must be completed one by one."""
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

    def inline(self) -> Known | None:
        assert self.unchanged is not None
        return Known(f"type(v := {{value}}) is {self.unchanged.__name__}")

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

    def inline(self) -> Known | None:
        return Known(f"type(v := {{value}}) is int and {_MIN_INT} <= v <= {_MAX_INT}")

    def _whole(self, values: Values, kinds: set[type]) -> Values | None:
        if kinds == {int} and min(values) >= _MIN_INT and max(values) <= _MAX_INT:
            return values
        return super()._whole(values, kinds)


class _Float(Leaf):
    """Finite floats stay as they are."""

    __slots__ = ()
    is_short = True

    def inline(self) -> Known | None:
        # infinity minus infinity, and NaN minus NaN, are NaN
        return Known("type(v := {value}) is float and v - v == 0.0")

    def _whole(self, values: Values, kinds: set[type]) -> Values | None:
        if kinds == {float} and all(map(isfinite, values)):
            return values
        return super()._whole(values, kinds)


class _Enum(Leaf):
    """Keeps the names of values that were seen, since an enum has few of them.

    It keeps texts only, which is what stored values are: other values may be equal to each other (1 and True).
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

    def inline(self) -> Known | None:
        return Known("type(v := {value}) is str and v in {known}", "{known}[v]", {"known": self._known})

    def _whole(self, values: Values, kinds: set[type]) -> Values | None:
        if kinds <= _TEXT_OR_NULL and self._known.keys() >= set(values) - _NULL:
            return list(map(self._known.get, values))
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


class LeafCompletion(Completion):
    """A scalar or an enum."""

    takes_long = False

    def __init__(self, field: FieldPlan, type_: GraphQLLeafType, *, non_null: bool) -> None:
        super().__init__(field, non_null=non_null)
        self._leaf = leaf(type_)
        self.inline, self.unchanged = self._inline(), self._leaf.unchanged
        self._text = field.text_weight

    def _inline(self) -> Inline | None:
        known = self._leaf.inline()
        if known is None:
            return None
        others = "{complete}(v)" if self.non_null else "None if v is None else {complete}(v)"
        return Inline(f"({known.result} if {known.test} else {others})", {"complete": self.value, **known.names})

    def column(self, values: Sequence[Any]) -> Sequence[Any] | None:
        return None if self.non_null and None in values else self._leaf.all(values)

    def value(self, value: Any) -> Any:
        if value is None and not self.non_null:
            return None
        if value is None or value is Undefined or isinstance(value, (Failure, Exception)):
            raise TypeError
        return self._leaf.one(value)

    def measure(self, execution: Execution, values: Sequence[Any], counts: Sequence[int] | None) -> None:
        if self._leaf.is_short:
            return
        size = (size_of_texts if self.unchanged is str else size_of_values)(values, counts)
        execution.size_budget.take(size)
        if self._text is not None:
            execution.weight += self._text.of(size, len(values))

    def _complete(self, execution: Execution, values: Sequence[Any], paths: Paths, deliver: Deliver) -> None:
        try:
            whole = self.column(values)
        except Exception:
            whole = None
        if whole is None:
            whole = [self._one(execution, value) for value in self._with_substitutes(execution, values, paths)]
        self.measure(execution, whole, paths.counts)
        deliver(whole)

    def _can_show(self, value: Any) -> bool:
        try:
            self._leaf.one(value)
        except Exception:
            return False
        return True

    def _one(self, execution: Execution, value: Any) -> Any:
        absent = self._absent(execution, value)
        if absent is not Undefined:
            return absent
        try:
            return self._leaf.one(value)
        except Exception as error:
            return execution.fail(error)
