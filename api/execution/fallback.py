"""graphql-core's own executor, for operations that the compiled one doesn't support. It counts its response, too."""

from __future__ import annotations

from typing import Any, cast

from graphql import DocumentNode, ExecutionResult, GraphQLSchema, execute
from graphql.execution.executor_throwing_on_incremental import ExecutorThrowingOnIncremental
from graphql.pyutils import is_awaitable

from api.execution.sizes import SizeBudget, size_of_values


class _Measuring(ExecutorThrowingOnIncremental):
    """graphql-core's executor, which takes the size of its response from a budget. Raises TooLarge."""

    def __init__(self, *given: Any, size_budget: SizeBudget, **options: Any) -> None:
        super().__init__(*given, **options)
        self._size_budget = size_budget

    def execute_fields(self, parent_type: Any, source_value: Any, path: Any, grouped_field_set: Any, *rest: Any) -> Any:
        self._size_budget.take(1 + sum([len(key) + 4 for key in grouped_field_set]))
        return super().execute_fields(parent_type, source_value, path, grouped_field_set, *rest)

    def complete_leaf_value(self, return_type: Any, result: Any) -> Any:  # type: ignore[override]
        completed = super().complete_leaf_value(return_type, result)
        self._size_budget.take(1 + size_of_values([completed], None))
        return completed


async def execute_with_graphql_core(
    schema: GraphQLSchema, document: DocumentNode, size_budget: SizeBudget, **given: Any
) -> ExecutionResult:
    """The response, as `graphql.execute` gives it. Raises TooLarge where it is larger than the budget."""
    result = execute(schema, document, **given, executor_class=_Measuring, size_budget=size_budget)
    finished: Any = await result if is_awaitable(result) else result
    return cast("ExecutionResult", finished)
