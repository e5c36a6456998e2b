"""Runs one operation on graphql-core and on the compiled executor, and compares whole responses.

What is compared:

- **data**, whole: values, their Python types (`1`, `1.0` and `True` differ), and the order of the keys of each object;
- **errors**: message, path, locations, extensions, and the type and text of the original error.

The order of errors means nothing to clients and is not compared: both lists are sorted by path.

Where a null in a non-null place propagates, a region of the response becomes one null. What graphql-core reports of
such a region depends on its resolvers:

- Where all of them are sync, it walks the region in the order of the document, depth first, and leaves it at the first
  error that propagates out of it: that error and the ones before it are reported. This is one certain answer, and the
  compiled executor gives the same one: `exact=True`.
- Where some are async, siblings run at once, and it reports whichever errors happened before the first that
  propagates; the rest is cancelled. This depends on timing, and the specification leaves it open. The compiled
  executor reports what graphql-core would have with sync resolvers. For `exact=False`, therefore:

  1. the data are equal, and so are the places that errors made null;
  2. at a null that did not come from further below, the errors are equal;
  3. at a null that did, both have at least one error, each comes from inside of the region, and each is one that some
     execution could give: it is among the errors of a third execution, by graphql-core with error propagation
     disabled (the directive `@experimental_disableErrorPropagation`), which reports every error there is. (But for
     one kind: of a list that breaks off half-way, errors of the items before that, where those have to be awaited.
     Where such lists are, the third execution is over a schema that awaits nothing: `sync`.)

  `tests/execution/test_awkward.py` closes what this leaves open: an operation over the async schema must give, on
  the compiled executor, exactly what graphql-core gives over the same schema with every resolver made sync.

Each error's path must lead to a null of the data (or to a null above it), and no place is reported twice.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import isawaitable
from typing import Any, Final

from graphql import (
    DirectiveNode,
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    NameNode,
    OperationDefinitionNode,
    execute,
    parse,
    validate,
)

from api.execution import Executor

Place = tuple[str | int, ...]
"""A path in a response."""

_WITHOUT_PROPAGATION: Final = DirectiveNode(
    name=NameNode(value="experimental_disableErrorPropagation"), arguments=(), loc=None
)


def nothing() -> None:
    """The context of operations whose resolvers need none."""


Execute = Callable[..., Any]
"""Takes what graphql-core's `execute` takes after the schema."""


def on_core(schema: GraphQLSchema) -> Execute:
    """Executes on graphql-core."""
    return partial(execute, schema)


def on_compiled(executor: Executor) -> Execute:
    """Executes on the compiled executor, which must not leave the operation to graphql-core."""

    async def execute_compiled(document: DocumentNode, **given: Any) -> ExecutionResult:
        before = executor.fallbacks.copy()
        result = await executor.execute(document, **given)
        assert executor.fallbacks == before, "The operation was left to graphql-core"
        return result

    return execute_compiled


async def response(
    execute: Execute,
    document: DocumentNode,
    variables: Mapping[str, Any] | None = None,
    operation_name: str | None = None,
    context: Any = None,
    root: Any = None,
) -> ExecutionResult:
    """The response to one operation, at once or awaited."""
    result = execute(
        document,
        root_value=root,
        context_value=context,
        variable_values=dict(variables or {}),
        operation_name=operation_name,
    )
    if isawaitable(result):
        result = await result
    assert isinstance(result, ExecutionResult)
    return result


async def compare(
    executor: Executor,
    source: str | DocumentNode,
    variables: Mapping[str, Any] | None = None,
    *,
    operation_name: str | None = None,
    context: Callable[[], Any] = nothing,
    root: Callable[[], Any] = nothing,
    exact: bool = False,
    sync: GraphQLSchema | None = None,
) -> ExecutionResult:
    """The response of the compiled executor, after it was found equal to that of graphql-core.

    The operation must be valid. It runs three times on the compiled executor, which makes a plan for the first, finds
    it for the second, and generates code of it for the third. `context` and `root` are called for each execution, so
    that none sees what another one did. `sync` is the same schema without anything to await, where there is one.
    Raises AssertionError for a difference.
    """
    document = parse(source) if isinstance(source, str) else source
    schema = executor.schema
    assert (invalid := validate(schema, document)) == [], invalid

    async def ask(execute: Execute, document: DocumentNode = document) -> ExecutionResult:
        return await response(execute, document, variables, operation_name, context(), root())

    core = await ask(on_core(schema))
    for _ in ("planned", "from the cache of plans", "by code that was generated meanwhile"):
        compiled = await ask(on_compiled(executor))
        possible = None
        if not exact and (has_nulled_regions(core) or has_nulled_regions(compiled)):
            possible = await ask(on_core(sync or schema), without_propagation(document))
        assert_same(core, compiled, possible)
    return compiled


def without_propagation(document: DocumentNode) -> DocumentNode:
    """The document with error propagation disabled in each of its operations; what it has stays where it was."""
    definitions = [
        dataclasses.replace(node, directives=(*(node.directives or ()), _WITHOUT_PROPAGATION))
        if isinstance(node, OperationDefinitionNode)
        else node
        for node in document.definitions
    ]
    return dataclasses.replace(document, definitions=tuple(definitions))


def has_nulled_regions(result: ExecutionResult) -> bool:
    """Whether some error propagated to a null above its own place."""
    return any(nulled_by(error, result.data) != tuple(error.path) for error in result.errors or () if error.path)


def assert_same(core: ExecutionResult, compiled: ExecutionResult, possible: ExecutionResult | None = None) -> None:
    """Raise AssertionError where two responses differ.

    `possible` is the response of graphql-core without error propagation, where timing decides which errors of a
    nulled region are reported; without it, all errors are compared.
    """
    _same("data", shape(compiled.data), shape(core.data))
    if possible is None:
        _same("errors", described(compiled.errors), described(core.errors))
        assert_well_formed(compiled)
        return
    expected, actual = regions(core), regions(compiled)
    _same("places that errors made null", list(actual), list(expected))
    for place, errors in expected.items():
        if any(tuple(error.path or ()) != place for error in [*errors, *actual[place]]):
            all_of_them = described(possible.errors)
            for error in actual[place]:
                assert describe(error) in all_of_them, f"no execution gives this error: {describe(error)}"
        else:
            _same(f"errors at {place}", described(actual[place]), described(errors))
    assert_well_formed(compiled)


def _same(what: str, compiled: Any, core: Any) -> None:
    assert compiled == core, f"{what}:\n  compiled {compiled}\n  core     {core}"


def assert_well_formed(result: ExecutionResult) -> None:
    """Each error stands for one null of the data, and no place has two errors."""
    if result.data is None and result.errors and all(error.path is None for error in result.errors):
        return  # a request error: execution did not begin
    places = [tuple(error.path or ()) for error in result.errors or ()]
    assert len(set(places)) == len(places), "two errors of one place"
    for error in result.errors or ():
        nulled_by(error, result.data)


def regions(result: ExecutionResult) -> dict[Place, list[GraphQLError]]:
    """The errors by the place of the null that each of them led to, sorted by it."""
    found: dict[Place, list[GraphQLError]] = defaultdict(list)
    for error in result.errors or ():
        found[nulled_by(error, result.data)].append(error)
    return dict(sorted(found.items(), key=lambda item: _sortable(item[0])))


def nulled_by(error: GraphQLError, data: Any) -> Place:
    """The place of the null that an error led to: its own path, or the nulled part of the response that it was in.

    Raises AssertionError where the data have a value in spite of the error.
    """
    place: list[str | int] = []
    for key in error.path or ():
        if data is None:
            break
        data = data[key]
        place.append(key)
    assert data is None, f"There are data at {error.path}, which has an error: {error}"
    return tuple(place)


def described(errors: Sequence[GraphQLError] | None) -> list[dict[str, Any]]:
    """What clients and logs see of errors, sorted by path."""
    return sorted(map(describe, errors or ()), key=lambda error: (_sortable(error["path"] or ()), error["message"]))


def describe(error: GraphQLError) -> dict[str, Any]:
    """What clients and logs see of an error."""
    original = error.original_error
    return {
        "message": error.message,
        "path": error.path and tuple(error.path),
        "locations": [(place.line, place.column) for place in error.locations or ()],
        "extensions": error.extensions or {},
        "original": original and (type(original), str(original)),
    }


def shape(value: Any) -> Any:
    """Data as something whose equality knows types, the order of keys, and NaN."""
    if isinstance(value, dict):
        return "object", [(key, shape(entry)) for key, entry in value.items()]
    if isinstance(value, list):
        return [shape(entry) for entry in value]
    if value is None or (isinstance(value, str) and type(value) is str):
        return value
    return type(value), repr(value)


def _sortable(place: Sequence[str | int]) -> list[tuple[bool, str, int]]:
    return [(False, key, 0) if isinstance(key, str) else (True, "", key) for key in place]
