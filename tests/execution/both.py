"""Runs what the suite sends to the application in this process on both executors, and compares whole responses.

A query is executed by the compiled executor, which answers, and a moment later by graphql-core, with a context of its
own. A mutation can't be done twice: while it is executed, what its root fields' resolvers are called with and what
they return is recorded, and graphql-core gets the same from the record; everything below the root fields, which is
all of the payload, is resolved again. `Query.health`, which measures time, is recorded in the same way.

An execution that is like one before, in any test of the process, is not compared again; kinds.py says what is alike.
With `--executor=each`, every execution is compared.

The second execution counts for nothing: its statements, commands and log entries are left out of what tests see
(`aside`). Where data were changed by another request in between, both are asked again.

`--executor=compiled` leaves the second execution out; with `--executor=core`, graphql-core answers, and nothing is
compared: the suite must pass in either mode. Tests that count connections or stop stores, which a second execution
would disturb, are marked `@pytest.mark.executed_once`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from inspect import isawaitable
from typing import Any, Final, cast

import structlog
from graphql import DocumentNode, ExecutionResult, GraphQLResolveInfo, OperationDefinitionNode, OperationType

from api.execution import SizeBudget
from api.execution.fallback import execute_with_graphql_core
from api.fields.context import Context
from api.log import current_cost
from api.rights.viewer import Viewer
from api.schema import schema
from api.stores.calls import asking
from tests.execution.comparison import assert_same, has_nulled_regions, without_propagation
from tests.execution.kinds import kind_of

aside: Final[ContextVar[bool]] = ContextVar("aside", default=False)
"""Whether what is done now is the second execution of something, which counts for nothing."""

_record: Final[ContextVar[Record | Replay | None]] = ContextVar("record", default=None)
_executor: Final = schema.executor
_compiled: Final = _executor.execute
_ATTEMPTS: Final = 3
_ATTEMPTS_AT_EVENTS: Final = 20
"""A test that follows changes goes on writing meanwhile."""
_PAUSE: Final = 0.1


@dataclass
class Call:
    """What a root field's resolver was called with, and what came of it; `viewer` is who it made of the client."""

    arguments: dict[str, Any]
    viewer: Viewer
    result: Any = None
    error: BaseException | None = None


@dataclass
class Record:
    """The calls of one operation's root fields, by response key."""

    calls: dict[str, Call] = field(default_factory=dict)

    async def call(self, resolve: Callable[..., Any], info: GraphQLResolveInfo[Context], arguments: Any) -> Any:
        """Call the resolver, and keep what comes of it."""
        made = self.calls[str(info.path.key)] = Call(arguments, info.context.viewer)
        try:
            made.result = resolve(info)
            if isawaitable(made.result):
                made.result = await made.result
        except BaseException as error:
            made.error = error
            raise
        finally:
            made.viewer = info.context.viewer
        return made.result


@dataclass
class Replay:
    """The calls of one operation's root fields, done again by what is recorded of them."""

    calls: Mapping[str, Call]

    async def call(self, _: Callable[..., Any], info: GraphQLResolveInfo[Context], arguments: Any) -> Any:
        """What came of the call. Raises AssertionError where it is not the one that was recorded."""
        key = str(info.path.key)
        assert key in self.calls, f"{key} was not executed by the compiled executor"
        made = self.calls[key]
        assert made.arguments == arguments, f"arguments of {key}: {made.arguments} and {arguments}"
        if made.viewer != info.context.viewer:
            info.context.become(made.viewer)
        if made.error is not None:
            raise made.error
        return made.result


class Both:
    """Stands in for the executor of the application."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.comparing = True
        self.each = mode == "each"
        self.compared = 0
        self._kinds: set[Hashable] = set()
        self.differences: list[str] = []

    async def execute(self, document: DocumentNode, **given: Any) -> ExecutionResult:
        """The response of the executor that answers. Differences from the other one are noted."""
        if self.mode == "core":
            return await _on_core(document, **given)
        if self.mode == "compiled" or not self.comparing:
            return await _compiled(document, **given)
        record = Record()
        context = copy_of(given["context_value"])
        with _recorded(record):
            result = await _compiled(document, **given)
        kind = kind_of(document, given | {"context_value": context}, result)
        if self.each or kind not in self._kinds:
            self._kinds.add(kind)
            with _set_aside():
                await self._compare(document, given, context, record, result)
        return result

    async def _compare(
        self, document: DocumentNode, given: dict[str, Any], context: Context, record: Record, result: ExecutionResult
    ) -> None:
        size_budget = given.get("size_budget")

        async def again(run: Any, document: DocumentNode) -> ExecutionResult:
            own = {
                "context_value": copy_of(context),
                "size_budget": size_budget and SizeBudget(size_budget.size),
            }
            with _recorded(Replay(record.calls)):
                return cast("ExecutionResult", await run(document, **(given | own)))

        attempts = _ATTEMPTS_AT_EVENTS if _is_subscription(document) else _ATTEMPTS
        for attempt in range(attempts):
            try:
                core = await again(_on_core, document)
                possible = None
                if has_nulled_regions(core) or has_nulled_regions(result):
                    possible = await again(_on_core, without_propagation(document))
                assert_same(core, result, possible)
                break
            except AssertionError as error:
                if attempt + 1 == attempts:
                    source = document.loc.source.body if document.loc else ""
                    self.differences.append(f"{source}\n{given['variable_values']}\n{error}")
                else:  # was it changed in between?
                    await asyncio.sleep(0 if attempts == _ATTEMPTS else _PAUSE)
                    result = await again(_compiled, document)
        self.compared += 1


def _is_subscription(document: DocumentNode) -> bool:
    return any(
        isinstance(each, OperationDefinitionNode) and each.operation is OperationType.SUBSCRIPTION
        for each in document.definitions
    )


def copy_of(context: Context) -> Context:
    """A context for the same operation, which has loaded nothing yet."""
    return replace(context, headers={}, _loaders={}, asker=None)


@contextmanager
def standing_in(mode: str) -> Iterator[Both]:
    """Let the application's operations be executed in this mode: both, each, compiled or core."""
    both = Both(mode)
    captured = structlog.testing.LogCapture.__call__

    def capture(self: Any, logger: Any, name: str, event: Any) -> Any:
        if aside.get():
            raise structlog.DropEvent
        return captured(self, logger, name, event)

    assert schema._schema.query_type is not None
    assert schema._schema.mutation_type is not None
    fields = [schema._schema.query_type.fields["health"], *schema._schema.mutation_type.fields.values()]
    resolvers = [field.resolve for field in fields]
    _executor.execute = both.execute  # type: ignore[method-assign]
    structlog.testing.LogCapture.__call__ = capture  # type: ignore[assignment,method-assign]
    for field_, resolve in zip(fields, resolvers, strict=True):
        field_.resolve = _recording(resolve)
    yield both
    for field_, resolve in zip(fields, resolvers, strict=True):
        field_.resolve = resolve
    structlog.testing.LogCapture.__call__ = captured  # type: ignore[method-assign]
    del _executor.execute


def _recording(resolve: Any) -> Any:
    def recorded(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        record = _record.get()
        if record is None:
            return resolve(source, info, **arguments)
        return record.call(lambda info: resolve(source, info, **arguments), info, arguments)

    return recorded


async def _on_core(document: DocumentNode, **given: Any) -> ExecutionResult:
    """As the compiled executor does with what it leaves to graphql-core."""
    return await execute_with_graphql_core(
        schema._schema, document, given.pop("size_budget", None) or SizeBudget(), **given
    )


@contextmanager
def _recorded(record: Record | Replay) -> Iterator[None]:
    token = _record.set(record)
    try:
        yield
    finally:
        _record.reset(token)


@contextmanager
def _set_aside() -> Iterator[None]:
    tokens = aside.set(True), current_cost.set(None), asking.set(())
    try:
        yield
    finally:
        aside.reset(tokens[0])
        current_cost.reset(tokens[1])
        asking.reset(tokens[2])
