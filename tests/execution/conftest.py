"""Each case of these tests runs on both executors, with the response that is expected written out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pytest
from graphql import DocumentNode, GraphQLSchema, build_schema, parse

from api.execution import Executor
from tests.execution.comparison import described, on_compiled, on_core, response

Expected = tuple[Any, list[tuple[str, list[str | int], list[tuple[int, int]]]]]
"""Data, and message, path and locations of each error, sorted by path."""


class Run(Protocol):
    """Executes an operation, which need not be valid, on one of the executors."""

    async def __call__(
        self,
        schema: GraphQLSchema | str,
        source: str,
        root: Any = None,
        *,
        context: Any = None,
        variables: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> Expected:
        """The response; a schema given as text has no resolvers."""


@pytest.fixture(params=["core", "compiled"])
def run(request: pytest.FixtureRequest) -> Run:
    """An executor: graphql-core, then the compiled one, with one plan for each operation of a test."""
    executors: dict[GraphQLSchema, Executor] = {}
    documents: dict[str, DocumentNode] = {}

    async def run(
        schema: GraphQLSchema | str,
        source: str,
        root: Any = None,
        *,
        context: Any = None,
        variables: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> Expected:
        if isinstance(schema, str):
            schema = build_schema(schema)
        document = documents.setdefault(source, parse(source))
        if request.param == "core":
            execute = on_core(schema)
        else:
            execute = on_compiled(executors.setdefault(schema, Executor(schema)))
        result = await response(execute, document, variables, name, context, root)
        errors = [
            (error["message"], list(error["path"] or []), error["locations"]) for error in described(result.errors)
        ]
        return result.data, errors

    return run
