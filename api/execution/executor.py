"""The executor: runs a validated document by a plan that is made once and kept."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final

from graphql import (
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
    assert_valid_schema,
)
from graphql.execution.values import VariableValues, get_variable_values
from graphql.type.directives import GraphQLDisableErrorPropagationDirective

from api.execution.collected_fields import INCREMENTAL, Selections, condition_variables, directives_of
from api.execution.declarations import Declarations, NothingDeclared
from api.execution.description import DescribedLevel, levels
from api.execution.execution import Execution
from api.execution.fallback import execute_with_graphql_core
from api.execution.plan import ObjectPlan, SelectionPlans
from api.execution.sizes import SizeBudget
from api.execution.turns import Turns, is_large
from api.execution.variables import reader_of

MAX_PLANS: Final = 1000
"""The number of operations whose plans are kept."""
MAX_VARIANTS: Final = 32
"""Plans kept for one operation: one for each combination of values of the variables in `@skip` and `@include`."""
_MAX_COERCION_ERRORS: Final = 50
_NO_VARIABLES: Final = VariableValues({}, {})


class Unsupported(Exception):
    """An operation that graphql-core has to execute; the argument names the reason."""


class OperationPlan:
    """The plans of one operation of a document."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, name: str | None, declarations: Declarations
    ) -> None:
        """Raises GraphQLError where the document has no such operation, and Unsupported."""
        self.document = document
        self.node = _operation(document, name)
        self.fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        directives = list(directives_of(document))
        _require_supported(schema, self.node, self.fragments, {directive.name.value for directive in directives})
        root_type = schema.get_root_type(self.node.operation)
        assert root_type is not None
        self._schema, self._declarations, self._root_type = schema, declarations, root_type
        self._conditions = condition_variables(directives)
        definitions = self.node.variable_definitions
        self._read_variables = reader_of(schema, definitions) if definitions else None
        self._variants: OrderedDict[tuple[Any, ...], ObjectPlan] = OrderedDict()

    def variables(self, given: Mapping[str, Any], *, hide_suggestions: bool) -> VariableValues | list[GraphQLError]:
        """The coerced variables, or what is wrong with them."""
        definitions = self.node.variable_definitions
        if not definitions:
            return _NO_VARIABLES
        if self._read_variables is not None and (values := self._read_variables(given)) is not None:
            return values
        return get_variable_values(
            self._schema, definitions, dict(given), _MAX_COERCION_ERRORS, hide_suggestions=hide_suggestions
        )

    def root(self, variables: VariableValues) -> ObjectPlan:
        """The plan of the root level. Raises GraphQLError where a condition is null."""
        choice = tuple([variables.coerced.get(name, Undefined) for name in self._conditions])
        plan = self._variants.get(choice)
        if plan is None:
            collect = Selections(self._schema, self.fragments, variables).fields
            plans = SelectionPlans(self._schema, self._declarations, collect)
            plan = ObjectPlan(plans, self._root_type, [self.node.selection_set])
            self._variants[choice] = plan
            if len(self._variants) > MAX_VARIANTS:
                self._variants.popitem(last=False)
        return plan


class Executor:
    """Executes validated operations of one schema.

    `fallbacks` counts, by reason, the operations that were left to graphql-core.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        declarations: Declarations | None = None,
        *,
        hide_suggestions: bool = False,
        max_plans: int = MAX_PLANS,
        on_fallback: Callable[[str, int], None] | None = None,
        resolving: ContextVar[Any] | None = None,
    ) -> None:
        """`on_fallback(reason, count)` is called for each operation that is left to graphql-core.

        `resolving` has the FieldPlan of the field that is being resolved, for whoever wants to know who asks: in its
        resolver, and in the tasks that this starts. Where graphql-core executes, it has none.

        Raises TypeError for a bad schema.
        """
        assert_valid_schema(schema)
        self.schema = schema
        self.hide_suggestions = hide_suggestions
        self.resolving: ContextVar[Any] = resolving or ContextVar("resolving")
        self.fallbacks: Counter[str] = Counter()
        self.turns = Turns()
        self._declarations = declarations or NothingDeclared()
        self._max_plans = max_plans
        self._on_fallback = on_fallback
        self._plans: OrderedDict[tuple[int, str | None], OperationPlan] = OrderedDict()

    async def execute(
        self,
        document: DocumentNode,
        *,
        root_value: Any = None,
        context_value: Any = None,
        variable_values: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
        size_budget: SizeBudget | None = None,
    ) -> ExecutionResult:
        """The response, as `graphql.execute` gives it: of a subscription, that to the event which is the root value.

        The weight of what was executed is in `extensions["weight"]`.

        Raises TooLarge where the response is larger than the budget.
        """
        size_budget = size_budget or SizeBudget()
        large = variable_values is not None and is_large(variable_values.values())
        if large:
            await self.turns.take()
        try:
            plan = self._plan(document, operation_name)
            variables = plan.variables(variable_values or {}, hide_suggestions=self.hide_suggestions)
            if isinstance(variables, list):
                return ExecutionResult(None, variables)
            root = plan.root(variables)
        except GraphQLError as error:
            return ExecutionResult(None, [error])
        except Unsupported as unsupported:
            reason = str(unsupported)
            self.fallbacks[reason] += 1
            if self._on_fallback is not None:
                self._on_fallback(reason, self.fallbacks[reason])
            return await execute_with_graphql_core(
                self.schema,
                document,
                size_budget,
                root_value=root_value,
                context_value=context_value,
                variable_values=dict(variable_values or {}),
                operation_name=operation_name,
                hide_suggestions=self.hide_suggestions,
            )
        execution = Execution(self, plan, variables, context_value, root_value, size_budget, large=large)
        try:
            result = await execution.run(root)
        finally:
            self.resolving.set(None)
        return ExecutionResult(result.data, result.errors, {"weight": execution.weight})

    def levels(
        self, document: DocumentNode, operation_name: str | None, variable_values: Mapping[str, Any]
    ) -> list[DescribedLevel] | None:
        """What the plan of an operation does that was executed; None where graphql-core has executed it, or nobody."""
        plan = self._plans.get((id(document), operation_name))
        if plan is None:
            return None
        variables = plan.variables(variable_values, hide_suggestions=self.hide_suggestions)
        return None if isinstance(variables, list) else list(levels(plan.root(variables)))

    def forget(self, document: DocumentNode) -> None:
        """Drop the plans of a document, so that it can be freed."""
        for key in [key for key in self._plans if key[0] == id(document)]:
            del self._plans[key]

    def _plan(self, document: DocumentNode, name: str | None) -> OperationPlan:
        # Keyed by identity, since comparing whole documents takes longer than executing them. A plan that is kept keeps
        # its document alive, so no other document can get the same id.
        key = (id(document), name)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = OperationPlan(self.schema, document, name, self._declarations)
            if len(self._plans) > self._max_plans:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(key)
        return plan


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is None:
        if len(operations) > 1:
            raise GraphQLError("Must provide operation name if query contains multiple operations.")
        if not operations:
            raise GraphQLError("Must provide an operation.")
        return operations[0]
    named = [node for node in operations if node.name is not None and node.name.value == name]
    if not named:
        raise GraphQLError(f"Unknown operation named '{name}'.")
    return named[-1]


def _require_supported(
    schema: GraphQLSchema,
    node: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    directives: set[str],
) -> None:
    if schema.get_root_type(node.operation) is None:
        raise Unsupported("no such root type")
    if directives & INCREMENTAL:
        raise Unsupported("incremental delivery")
    if GraphQLDisableErrorPropagationDirective.name in directives:
        raise Unsupported("no error propagation")
    if any(fragment.variable_definitions for fragment in fragments.values()):
        raise Unsupported("fragment variables")
