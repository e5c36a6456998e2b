"""Arguments of a field: coerced once a plan where they hold no variables, else once a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import FieldNode, GraphQLField, Node, Undefined, VariableNode
from graphql.execution.values import get_argument_values

from api.execution.declarations import Prepare

if TYPE_CHECKING:
    from api.execution.execution import Execution


class Arguments:
    """The arguments that one field node gives."""

    def __init__(self, definition: GraphQLField, node: FieldNode, prepare: Prepare | None) -> None:
        self._definition = definition
        self._node = node
        self._none = not definition.args and not node.arguments
        self.takes_variables = any(_has_variable(argument.value) for argument in node.arguments or ())
        self._prepare = prepare
        self._prepared: Any = Undefined

    def fresh(self, execution: Execution) -> dict[str, Any]:
        """The coerced arguments, for a resolver, which may keep or change them. Raises GraphQLError."""
        if self._none:
            return {}
        return get_argument_values(
            self._definition, self._node, execution.variables, None, execution.executor.hide_suggestions
        )

    def prepared(self, execution: Execution) -> Any:
        """What a batch takes. Raises GraphQLError, and what its preparation raises."""
        if self._prepared is not Undefined:
            return self._prepared
        given: Any = self.fresh(execution)
        if self._prepare is not None:
            given = self._prepare(given, execution.converted)
        if not self.takes_variables:
            self._prepared = given
        return given


def _has_variable(value: Node) -> bool:
    """Whether a literal has a variable in it. Without recursion: literals may be deep."""
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, VariableNode):
            return True
        stack.extend(getattr(node, "values", ()) or ())
        stack.extend(field.value for field in getattr(node, "fields", ()) or ())
    return False
