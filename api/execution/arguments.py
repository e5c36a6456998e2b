"""The arguments of a field: coerced once a plan where there are no variables in them, else once a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import FieldNode, GraphQLField, Undefined
from graphql.execution.values import get_argument_values

from api.execution.declarations import Prepare
from api.execution.literals import Read, has_variable, reader_of

if TYPE_CHECKING:
    from api.execution.execution import Execution


class Arguments:
    """The arguments of one field node."""

    def __init__(self, definition: GraphQLField, node: FieldNode, prepare: Prepare | None) -> None:
        self._definition = definition
        self._node = node
        self._none = not definition.args and not node.arguments
        self.takes_variables = any(has_variable(argument.value) for argument in node.arguments or ())
        self._prepare = prepare
        self._prepared: Any = Undefined
        self._read: Read | None = None

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
        given: Any = self._coerced(execution)
        if self._prepare is not None:
            given = self._prepare(given, execution.converted)
        if not self.takes_variables:
            self._prepared = given
        return given

    def _coerced(self, execution: Execution) -> Any:
        """The coerced arguments, of which parts may be shared. Raises GraphQLError."""
        if not self.takes_variables:
            return self.fresh(execution)
        if self._read is None:
            self._read = reader_of(self._definition, self._node)
        given = self._read(execution.variables)
        return self.fresh(execution) if given is Undefined else given
