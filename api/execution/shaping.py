"""Rows to response objects: one generated function a level, which builds all of its objects in one expression.

What it is made of are the declarations' expressions and the response keys, which GraphQL limits to names. It is
optimistic: where a value doesn't complete, it raises, and the level is completed field by field instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from graphql import Undefined

from api.execution.declarations import Plain
from api.execution.leaves import EnumLeaf, all_unchanged, unchanged

if TYPE_CHECKING:
    from api.execution.completion import Completion
    from api.execution.plan import FieldPlan

Shape = Callable[[Sequence[Any]], list[dict[str, Any]]]
Reader = Callable[[Sequence[Any]], Sequence[Any]]

MAX_FIELDS: Final = 500
"""Fields of a level for which code is generated: compiling takes some microseconds for each."""


def shape_of(fields: Sequence[FieldPlan]) -> Shape:
    """The function that makes the objects of a level: leaves completed, null where something else comes later."""
    names: dict[str, Any] = {}
    parts = [f"{field.key!r}: {_expression(field, f'_{index}', names)}" for index, field in enumerate(fields)]
    return _function(f"[{{{', '.join(parts)}}} for source in sources]", names)


def reader_of(declared: Plain) -> Reader:
    """The function that reads a value off every source. It may raise where `read` doesn't."""
    read, expression = declared.read, declared.expression
    if expression is None:
        return lambda sources: [read(source) for source in sources]
    return _function(f"[{expression} for source in sources]", dict(declared.names))


def _function(expression: str, names: dict[str, Any]) -> Callable[[Sequence[Any]], Any]:
    exec(compile(f"def generated(sources):\n    return {expression}\n", "<plan>", "exec"), names)  # noqa: S102
    generated: Callable[[Sequence[Any]], Any] = names["generated"]
    return generated


def _expression(field: FieldPlan, suffix: str, names: dict[str, Any]) -> str:
    """The Python expression of one field's value; what it calls is put into `names`."""
    if field.constant is not None:
        return repr(field.constant)
    if not field.is_leaf:
        return "None"
    declared = field.declaration
    assert isinstance(declared, Plain)
    value = declared.expression
    if value is None:
        names[f"read{suffix}"] = declared.read
        value = f"read{suffix}(source)"
    else:
        names.update(declared.names)
    completed = f"complete{suffix}"
    names[completed] = complete_whole(field.completion)
    completion = field.completion
    if completion.leaf_type is None:
        only = None if completion.item is None else all_unchanged(completion.item.leaf_type)
        if only is None:
            return f"{completed}({value})"
        names[f"only{suffix}"] = only
        return f"v if type(v := {value}) is list and only{suffix}(map(type, v)) else {completed}(v)"
    if isinstance(completion.leaf, EnumLeaf):
        names[f"known{suffix}"] = completion.leaf.known
        return f"known{suffix}[v] if type(v := {value}) is str and v in known{suffix} else {completed}(v)"
    test = unchanged(completion.leaf_type, value)
    return f"{completed}({value})" if test is None else f"v if {test} else {completed}(v)"


def complete_whole(completion: Completion) -> Callable[[Any], Any]:
    """The function that completes one value of a leaf type, or of lists of one, at once. It raises what goes wrong."""
    inner = completion.item
    one = completion.leaf if inner is None else _whole_list(inner)
    assert one is not None
    non_null = completion.non_null

    def complete(value: Any) -> Any:
        if value is None and not non_null:
            return None
        if value is None or value is Undefined or isinstance(value, Exception):
            raise TypeError("not to be completed")  # said properly when the level is completed field by field
        return one(value)

    return complete


def _whole_list(inner: Completion) -> Callable[[Any], Any]:
    complete = complete_whole(inner)

    def complete_list(value: Any) -> Any:
        if type(value) is not list and type(value) is not tuple:
            raise TypeError("no list")
        return [complete(item) for item in value]

    return complete_list
