"""Which executions are of one kind: both executors do the same for the second of them as they did for the first."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

from graphql import DocumentNode, ExecutionResult, print_ast

from api.fields.context import Context

LONG: Final = 16
"""Characters from which on a text in the variables is taken for an id, a cursor, a date or prose."""


def kind_of(document: DocumentNode, given: Mapping[str, Any], result: ExecutionResult) -> Hashable:
    """What is asked with which variables, by whom and with which stores, and the form of what is answered.

    Left out are ids and long texts in the variables, and in the data what the leaves are and how often a list has
    objects of the same form.
    """
    context: Context = given["context_value"]
    viewer = context.viewer
    return (
        document.loc.source.body if document.loc else print_ast(document),
        given.get("operation_name"),
        _given(given.get("variable_values")),
        (viewer.id is None, viewer.role, context.stores and context.stores.row_level_security),
        given.get("size_budget") is None,
        _answered(result.data),
        tuple((_code(error), _place(error.path)) for error in result.errors or ()),
    )


def _given(value: Any) -> Hashable:
    if isinstance(value, Mapping):
        return tuple((name, _given(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return (list, *map(_given, value))
    if isinstance(value, str) and len(value) >= LONG:
        return str
    return type(value), value if isinstance(value, Hashable) else None


def _answered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((name, inner if name == "__typename" else _answered(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return (list, *dict.fromkeys(map(_answered, value)))
    return type(value)


def _code(error: Any) -> Any:
    return (error.extensions or {}).get("code", type(error.original_error))


def _place(path: Any) -> Hashable:
    return tuple(None if isinstance(step, int) else step for step in path or ())
