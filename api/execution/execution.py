"""The state of one operation while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from graphql import ExecutionResult, GraphQLError, GraphQLResolveInfo, OperationDefinitionNode, OperationType
from graphql.execution.values import VariableValues
from graphql.pyutils import Path, gather_with_cancel, is_awaitable
from graphql.type.definition import GraphQLResolveInfoHelpers

from api.execution.awaitables import Awaitables
from api.execution.declarations import Converted
from api.execution.errors import Failure, Nulled, NullPropagation
from api.execution.paths import ROOT
from api.execution.plan import FieldPlan, ObjectPlan
from api.execution.sizes import SizeBudget, TooLarge

if TYPE_CHECKING:
    from api.execution.executor import Executor, OperationPlan


class Execution:
    """One run of a plan."""

    def __init__(
        self,
        executor: Executor,
        operation: OperationPlan,
        variables: VariableValues,
        context: Any,
        root: Any,
        size_budget: SizeBudget,
        *,
        large: bool = False,
    ) -> None:
        """Where the variables are `large`, each field that takes some of them waits for a turn of the event loop."""
        self.executor = executor
        self.variables = variables
        self.awaitables = Awaitables()
        self.failed = False
        self.omitted = False
        self.weight = 0
        self.size_budget = size_budget
        self.large = large
        self.converted: Converted = {}
        self.plans: dict[int, ObjectPlan] = {}  # of objects of interfaces and unions, by identity
        self._operation = operation
        self._context = context
        self._root = root

    def info(self, field: FieldPlan, path: Path | None) -> GraphQLResolveInfo[Any]:
        """The info object of a field, for resolvers and batches, which is about to be resolved."""
        self.executor.resolving.set(field)
        operation = self._operation
        return GraphQLResolveInfo(
            field.name,
            field.nodes,
            field.definition.type,
            field.parent,
            path,  # type: ignore[arg-type]
            self.executor.schema,
            operation.fragments,
            self._root,
            operation.node,
            self.variables,
            self._context,
            is_awaitable,
            None,
            # made each time: kept, they would tie every run into a cycle, which only the garbage collector unties
            GraphQLResolveInfoHelpers(_gather, self._track),
        )

    def fail(self, error: Exception) -> Failure:
        """The failure to put in the place of a value. Marks the whole run as having one."""
        self.failed = True
        return Failure(error)

    def settle(self, values: list[Any], then: Callable[[Sequence[Any]], None]) -> None:
        """Call `then` with these values, once those that have to be awaited are there."""
        waiting = [index for index, value in enumerate(values) if is_awaitable(value)]
        if not waiting:
            then(values)
            return

        def arrived(results: list[Any]) -> None:
            for index, result in zip(waiting, results, strict=True):
                values[index] = result
            then(values)

        self.awaitables.start_all([values[index] for index in waiting], arrived)

    def in_turn(self, step: Callable[[], None]) -> None:
        """Do a step that takes long once it has its turn of the event loop."""

        def taken(result: Any) -> None:
            if type(result) is Failure:
                raise result.error
            step()

        self.awaitables.start(self.executor.turns.take(), taken)

    async def run(self, plan: ObjectPlan) -> ExecutionResult:
        """The response of the operation with this root level. Raises TooLarge, and cancellations."""
        node: OperationDefinitionNode = self._operation.node
        try:
            if node.operation is OperationType.MUTATION:
                data = await self._run_serially(plan)
            else:
                data = plan.run(self, [self._root], ROOT)[0]
                await self.awaitables.finish()
        except Nulled as nulled:  # later fields of the mutation are not begun
            return ExecutionResult(None, [*self._errors, nulled.error])
        except TooLarge:
            await self.awaitables.stop()
            raise
        if not self.failed:
            return ExecutionResult(data, None)
        propagation = NullPropagation(self.plans)
        repaired = propagation.root(plan, data)
        return ExecutionResult(repaired, propagation.errors or None)

    async def _run_serially(self, plan: ObjectPlan) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for field, made in plan.run_serially(self, self._root):
            await self.awaitables.finish()
            if self.failed:
                propagation = NullPropagation(self.plans)
                for done in plan.fields:
                    self._errors = propagation.errors
                    propagation.field(done, made[done.key], None)
                    if done is field:
                        break
        return made

    _errors: Sequence[GraphQLError] = ()

    def _track(self, values: Sequence[Any]) -> None:
        """Await what a resolver has left behind, before the operation ends."""
        for value in values:
            if is_awaitable(value):
                self.awaitables.start(value, lambda _: None)


def _gather(awaitables: Sequence[Any]) -> Any:
    return gather_with_cancel(*awaitables)
