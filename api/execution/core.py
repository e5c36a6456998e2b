"""What the compiled executor doesn't execute: graphql-core's, which counts the size of its answer, too."""

from __future__ import annotations

from typing import Any, cast

from graphql import DocumentNode, ExecutionResult, GraphQLSchema, execute
from graphql.execution.executor_throwing_on_incremental import ExecutorThrowingOnIncremental
from graphql.pyutils import is_awaitable

from api.execution.sizes import Room, size_of_values


class _Measuring(ExecutorThrowingOnIncremental):
    """graphql-core's executor, with the room that its answer has. Raises TooLarge."""

    def __init__(self, *given: Any, room: Room, **options: Any) -> None:
        super().__init__(*given, **options)
        self._room = room

    def execute_fields(self, parent_type: Any, source_value: Any, path: Any, grouped_field_set: Any, *rest: Any) -> Any:
        self._room.take(1 + sum([len(key) + 4 for key in grouped_field_set]))
        return super().execute_fields(parent_type, source_value, path, grouped_field_set, *rest)

    def complete_leaf_value(self, return_type: Any, result: Any) -> Any:  # type: ignore[override]
        completed = super().complete_leaf_value(return_type, result)
        self._room.take(1 + size_of_values([completed], None))
        return completed


async def execute_in_core(schema: GraphQLSchema, document: DocumentNode, room: Room, **given: Any) -> ExecutionResult:
    """The response, as `graphql.execute` gives it. Raises TooLarge where it doesn't fit into the room."""
    result = execute(schema, document, **given, executor_class=_Measuring, room=room)
    finished: Any = await result if is_awaitable(result) else result
    return cast("ExecutionResult", finished)
