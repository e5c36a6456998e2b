"""Rows to response objects: one generated function a level, which builds all of its objects in one expression.

What it is made of are the declarations' expressions and the response keys, which GraphQL limits to names. It is
optimistic: where a value doesn't complete, it raises, and the level is completed field by field instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from graphql import Undefined

from api.execution.declarations import Plain
from api.execution.leaves import unchanged

if TYPE_CHECKING:
    from api.execution.completion import Completion
    from api.execution.plan import FieldPlan

Shape = Callable[[Sequence[Any]], list[dict[str, Any]]]

MAX_FIELDS: Final = 500
"""Fields of a level for which code is generated: compiling takes some microseconds for each."""


def shape_of(fields: Sequence[FieldPlan]) -> Shape:
    """The function that makes the objects of a level: leaves completed, null where something else comes later."""
    names: dict[str, Any] = {}
    parts = [f"{field.key!r}: {_expression(field, f'_{index}', names)}" for index, field in enumerate(fields)]
    source = f"def shape(sources):\n    return [{{{', '.join(parts)}}} for source in sources]\n"
    exec(compile(source, "<plan>", "exec"), names)  # noqa: S102
    shape: Shape = names["shape"]
    return shape


def _expression(field: FieldPlan, suffix: str, names: dict[str, Any]) -> str:
    """The Python expression of one field's value; what it calls is put into `names`."""
    if field.constant is not None:
        return repr(field.constant)
    if not field.is_leaf:
        return "None"
    assert isinstance(field.declaration, Plain)
    value = field.declaration.expression
    if value is None:
        names[f"read{suffix}"] = field.declaration.read
        value = f"read{suffix}(source)"
    names[f"complete{suffix}"] = complete_whole(field.completion)
    completed = f"complete{suffix}"
    type_ = field.completion.leaf_type
    test = None if type_ is None else unchanged(type_, value)
    if test is None:
        return f"{completed}({value})"
    return f"v if {test} else {completed}(v)"


def complete_whole(completion: Completion) -> Callable[[Any], Any]:
    """The function that completes one value of a leaf type, or of lists of one, at once. It raises what goes wrong."""
    inner = completion.item
    one = completion.leaf if inner is None else _whole_list(complete_whole(inner))
    assert one is not None
    non_null = completion.non_null

    def complete(value: Any) -> Any:
        if value is None and not non_null:
            return None
        if value is None or value is Undefined or isinstance(value, Exception):
            raise TypeError("not to be completed")  # said properly when the level is completed field by field
        return one(value)

    return complete


def _whole_list(complete: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def complete_list(value: Any) -> Any:
        if type(value) is not list and type(value) is not tuple:
            raise TypeError("no list")
        return [complete(item) for item in value]

    return complete_list
