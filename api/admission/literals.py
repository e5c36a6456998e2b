"""The validation rule for literals, whose errors always have a location."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphql import (
    SKIP,
    GraphQLError,
    ListValueNode,
    ObjectValueNode,
    ValueNode,
    ValuesOfCorrectTypeRule,
    VisitorAction,
    validate_input_literal,
)


class LocatedLiterals(ValuesOfCorrectTypeRule):
    """As graphql-core's rule, which loses the location of an object or a list that a scalar refuses."""

    def is_valid_value_node(self, node: ValueNode, input_type: Any) -> VisitorAction:
        def report(error: GraphQLError, path: Sequence[str | int]) -> None:
            if not error.locations:
                error = GraphQLError(error.message, _at(node, path), original_error=error.original_error)
            self.report_error(error)

        if input_type:
            validate_input_literal(node, input_type, report, None, None, self.context.hide_suggestions)
        return SKIP


def _at(node: ValueNode, path: Sequence[str | int]) -> ValueNode:
    """The part of a literal that the path leads to."""
    for step in path:
        if isinstance(node, ListValueNode) and isinstance(step, int):
            node = node.values[step]
        elif isinstance(node, ObjectValueNode):
            node = next(field.value for field in node.fields if field.name.value == step)
    return node
