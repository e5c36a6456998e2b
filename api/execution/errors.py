"""Errors and their paths, worked out when everything else is done.

While an operation runs, what fails leaves a `Failure` where its value would be, and nobody keeps track of paths.
Only where there was one, the finished tree is walked once, in the order of the response: every failure becomes a
located error, and null takes its place or that of the nearest parent that may be null. The errors and their order
are those that graphql-core has for resolvers that don't wait for anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, GraphQLObjectType, located_error
from graphql.pyutils import inspect

if TYPE_CHECKING:
    from api.execution.completion.base import Completion
    from api.execution.plan import FieldPlan, ObjectPlan

Keys = tuple["Keys", str | int] | None
"""A path, as a linked list from its end."""


class Failure:
    """Stands in the response for a value that failed. For a list that broke off, it has the items before the error."""

    __slots__ = ("error", "items")

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.items: list[Any] = []


def null_error(parent: GraphQLObjectType, name: str) -> TypeError:
    """The error for null where the schema promises a value."""
    return TypeError(f"Cannot return null for non-nullable field {parent}.{name}.")


def invalid_leaf(type_: Any, value: Any, completed: Any) -> TypeError:
    """The error of a scalar that turns a value into null."""
    return TypeError(
        f"Expected `{inspect(type_)}.coerce_output_value({inspect(value)})` to return non-nullable value,"
        f" returned: {inspect(completed)}"
    )


class Nulled(Exception):
    """Carries an error up to the nearest field that may be null."""

    def __init__(self, error: GraphQLError) -> None:
        super().__init__(error.message)
        self.error = error


class NullPropagation:
    """Turns the failures in a finished response into errors and nulls, in one walk.

    The response itself isn't changed, since parts of it may be shared: the walk makes a copy.
    """

    def __init__(self, plans: dict[int, ObjectPlan]) -> None:
        self._plans = plans  # of objects of interfaces and unions, by identity
        self.errors: list[GraphQLError] = []

    def root(self, plan: ObjectPlan, value: dict[str, Any]) -> dict[str, Any] | None:
        """The data without failures; None where an error makes all of it null."""
        try:
            return self._object(plan, value, None)
        except Nulled as nulled:
            self.errors.append(nulled.error)
            return None

    def field(self, field: FieldPlan, value: Any, path: Keys) -> Any:
        """The value of one field. Raises Nulled where the field failed and may not be null."""
        return self._position(field.completion, field, value, (path, field.key))

    def _object(self, plan: ObjectPlan, value: dict[str, Any], path: Keys) -> dict[str, Any]:
        repaired = dict(value)
        for field in plan.fields:
            repaired[field.key] = self.field(field, value[field.key], path)
        return repaired

    def _position(self, completion: Completion, field: FieldPlan, value: Any, path: Keys) -> Any:
        try:
            return self._value(completion, field, value, path)
        except Nulled as nulled:
            if completion.non_null:
                raise
            self.errors.append(nulled.error)
            return None

    def _value(self, completion: Completion, field: FieldPlan, value: Any, path: Keys) -> Any:
        if type(value) is Failure:
            for index, item in enumerate(value.items):
                assert completion.item is not None
                self._position(completion.item, field, item, (path, index))
            raise Nulled(located_error(value.error, field.nodes, _as_list(path)))
        if value is None:
            return None
        inner = completion.item
        if inner is not None:
            return [self._position(inner, field, item, (path, index)) for index, item in enumerate(value)]
        plan = completion.plan_of(value, self._plans)
        return value if plan is None else self._object(plan, value, path)


def _as_list(path: Keys) -> list[str | int]:
    keys: list[str | int] = []
    while path is not None:
        path, key = path
        keys.append(key)
    keys.reverse()
    return keys
