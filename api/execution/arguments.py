"""The arguments of a field: coerced once a plan where there are no variables in them, else once a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import FieldNode, GraphQLField, Node, Undefined, VariableNode
from graphql.execution.values import get_argument_values

from api.execution.declarations import Prepare

if TYPE_CHECKING:
    from api.execution.execution import Execution


class Arguments:
    """The arguments of one field node."""

    def __init__(self, definition: GraphQLField, node: FieldNode, prepare: Prepare | None) -> None:
        self._definition = definition
        self._node = node
        self._none = not definition.args and not node.arguments
        self.takes_variables = any(_has_variable(argument.value) for argument in node.arguments or ())
        self._prepare = prepare
        self._prepared: Any = Undefined

    def fresh(self, execution: Execution) -> dict[str, Any]:
        """The coerced arguments, as a new dict: a resolver may keep or change it. Raises GraphQLError."""
        if self._none:
            return {}
        return get_argument_values(
            self._definition, self._node, execution.variables, None, execution.executor.hide_suggestions
        )

    def prepared(self, execution: Execution) -> Any:
        """The arguments as a batch takes them. Raises GraphQLError, and whatever `prepare` raises."""
        if self._prepared is not Undefined:
            return self._prepared
        given: Any = self.fresh(execution)
        if self._prepare is not None:
            given = self._prepare(given, execution.converted)
        if not self.takes_variables:
            self._prepared = given
        return given


def _has_variable(value: Node) -> bool:
    """Whether a literal has a variable in it. A loop, not recursion, since literals may be nested deeply."""
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, VariableNode):
            return True
        stack.extend(getattr(node, "values", ()) or ())
        stack.extend(field.value for field in getattr(node, "fields", ()) or ())
    return False
