"""Looks for operations that the two executors answer differently: `python -m tests.execution.fuzz --help`.

Draws operations, and compares their responses. What it finds is made as small as it can be and printed, with the
difference. The kinds of operations are: `queries` and `mutations` over the awkward schema, `declared` over the one
whose fields are declared, `api` and `api-mutations` over the schema of this API, on servers that it starts.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import time
import warnings
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, NamedTuple

from graphql import GraphQLSchema
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes

from api.execution import Executor
from tests.execution import api, declared
from tests.execution.awkward import Diary, build
from tests.execution.comparison import assert_same, compare, on_compiled, on_core
from tests.execution.minimising import minimise
from tests.execution.operations import Operation, operations

SCALARS: Final = {"Odd": st.sampled_from([1, 3, 5, 7, 9, 11]).map(nodes.Int)}
SCHEMA: Final = build(asynchronous=True)
TWIN: Final = build(asynchronous=False)
EXECUTOR: Final = Executor(SCHEMA)
TWIN_EXECUTOR: Final = Executor(TWIN)


def awkward_operations(*, mutation: bool = False) -> st.SearchStrategy[Operation]:
    """Operations over the awkward schema."""
    return operations(SCHEMA, SCALARS, mutation=mutation)


def declared_operations() -> st.SearchStrategy[Operation]:
    """Queries over the schema whose fields are declared."""
    return operations(declared.SCHEMA, SCALARS)


async def check_declared(operation: Operation) -> None:
    """Raise AssertionError where declared fields are not answered as their resolvers would answer."""
    executor = Executor(declared.SCHEMA, declared.Declared())
    await compare(executor, operation.document, operation.variables)


async def check(operation: Operation) -> None:
    """Raise AssertionError where the executors differ, over either schema, or the schemas on the compiled one.

    What mutations write into their diary must be the same too.
    """
    document, variables = operation.document, operation.variables
    await compare(TWIN_EXECUTOR, document, variables, context=Diary, exact=True)
    await compare(EXECUTOR, document, variables, context=Diary, sync=TWIN)
    diaries = Diary(), Diary()
    sync = await on_core(TWIN, document, variables, context=diaries[0])
    compiled = await on_compiled(EXECUTOR, document, variables, context=diaries[1])
    assert_same(sync, compiled)
    assert diaries[1] == diaries[0]


class Kind(NamedTuple):
    """Something to search in."""

    schema: GraphQLSchema
    operations: Callable[[], st.SearchStrategy[Operation]]
    check: Callable[[Operation], Coroutine[Any, Any, None]]


KINDS: Final = {
    "queries": Kind(SCHEMA, awkward_operations, check),
    "mutations": Kind(SCHEMA, partial(awkward_operations, mutation=True), check),
    "declared": Kind(declared.SCHEMA, declared_operations, check_declared),
}


API: Final = {"api": False, "api-mutations": True}
"""Over the schema of this API and servers of its own: whether mutations are drawn."""


def fails_with(run: Callable[[Operation], None], operation: Operation) -> str | None:
    """What is wrong with the responses to an operation, None where nothing is; a coroutine left behind is wrong."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            run(operation)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        gc.collect(0)
    return str(caught[0].message) if caught else None


def main(arguments: list[str] | None = None) -> int:
    """Search, and return the number of differences found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=2000, help="operations to draw")
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same operations")
    parser.add_argument("--kind", choices=[*KINDS, *API], default="queries", help="what to draw: see below")
    given_ = parser.parse_args(arguments)
    if given_.kind in API:
        told = asyncio.run(api.search(given_.examples, given_.seed, mutation=API[given_.kind]))
        print(*told, f"{given_.examples} operations, {len(told)} with a difference", sep="\n\n")  # noqa: T201
        return len(told)
    started, count = time.monotonic(), 0
    found: list[Operation] = []
    kind = KINDS[given_.kind]

    with asyncio.Runner() as runner:

        def run(operation: Operation) -> None:
            runner.run(kind.check(operation))

        @seed(given_.seed)
        @settings(
            max_examples=given_.examples,
            phases=[Phase.generate],
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(kind.operations())
        def search(operation: Operation) -> None:
            nonlocal count
            if found:
                return
            count += 1
            if wrong := fails_with(run, operation):
                found.append(operation)
                print(operation.source, operation.variables, wrong, sep="\n\n", flush=True)  # noqa: T201

        search()
        print(f"{count} operations in {time.monotonic() - started:.0f} s, {len(found)} with a difference")  # noqa: T201
        for operation in found:
            smallest = minimise(kind.schema, operation, lambda smaller: fails_with(run, smaller) is not None)
            print(smallest.source, smallest.variables, fails_with(run, smallest), sep="\n\n")  # noqa: T201
    return len(found)


if __name__ == "__main__":
    sys.exit(main())
