"""What a subscription asks, so that those who ask the same can share the answer to an event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    Visitor,
    get_named_type,
    is_composite_type,
    visit,
)

from api.execution.operation import Operation

RESUME: Final = "after"
"""The argument that says where events begin, but nothing of what they are."""


class Question:
    """What one operation asks of each event. `key` is the same for equal ones, `types` are those of all objects that
    are selected somewhere in its document."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, node: OperationDefinitionNode, asked: Operation
    ) -> None:
        info = TypeInfo(schema)
        seen = _Seen(info)
        visit(document, TypeInfoVisitor(info, seen))
        self.types = frozenset(seen.types)
        variables = _without_resume(node, seen.variables, asked.variables or {})
        self.key = asked.query, asked.name, orjson.dumps(variables, option=orjson.OPT_SORT_KEYS)


class _Seen(Visitor):
    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self._info = info
        self.types: set[str] = set()
        self.variables = Counter[str]()

    def enter_field(self, *_: Any) -> None:
        type_ = get_named_type(self._info.get_type())
        if type_ is not None and is_composite_type(type_):
            self.types.add(type_.name)

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.variables[node.name.value] += 1


def _without_resume(
    node: OperationDefinitionNode, uses: Mapping[str, int], variables: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The variables without the one that is only for `after`: it stands there, and in its definition."""
    resumes = {
        argument.value.name.value
        for field in node.selection_set.selections
        if isinstance(field, FieldNode)
        for argument in field.arguments or ()
        if argument.name.value == RESUME and isinstance(argument.value, VariableNode)
    }
    return {name: value for name, value in variables.items() if name not in resumes or uses[name] > 2}
