"""Looks for operations that the two executors answer differently: `python -m tests.execution.fuzz --help`.

Draws operations, and compares their responses. What it finds is made as small as it can be and printed, with the
difference. The kinds of operations are: `queries` and `mutations` over the awkward schema, `declared` over the one
whose fields are declared, `api` and `api-mutations` over the schema of this API, on servers that it starts.

Progress goes to stderr. The last line sums up; it fails where there was a difference, or an operation was left to
graphql-core.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, NamedTuple

from graphql import GraphQLSchema
from hypothesis import strategies as st
from hypothesis_graphql import nodes

from api.execution import Executor
from api.schema import schema as api_schema
from tests.execution import api, declared
from tests.execution.awkward import Diary, build
from tests.execution.comparison import assert_same, compare, on_compiled, on_core, response
from tests.execution.minimising import minimise
from tests.execution.operations import Operation, operations
from tests.execution.searching import Progress, draw

SCALARS: Final = {"Odd": st.sampled_from([1, 3, 5, 7, 9, 11]).map(nodes.Int)}
SCHEMA: Final = build(asynchronous=True)
TWIN: Final = build(asynchronous=False)
EXECUTOR: Final = Executor(SCHEMA)
TWIN_EXECUTOR: Final = Executor(TWIN)
_fallbacks_of_declared: Final[Counter[str]] = Counter()


def awkward_operations(*, mutation: bool = False) -> st.SearchStrategy[Operation]:
    """Operations over the awkward schema."""
    return operations(SCHEMA, SCALARS, mutation=mutation)


def declared_operations() -> st.SearchStrategy[Operation]:
    """Queries over the schema whose fields are declared."""
    return operations(declared.SCHEMA, SCALARS)


async def check_declared(operation: Operation) -> None:
    """Raise AssertionError where declared fields are not answered as their resolvers would answer."""
    executor = Executor(declared.SCHEMA, declared.Declared())
    try:
        await compare(executor, operation.document, operation.variables)
    finally:
        _fallbacks_of_declared.update(executor.fallbacks)


async def check(operation: Operation) -> None:
    """Raise AssertionError where the executors differ, over either schema, or the schemas on the compiled one.

    What mutations write into their diary must be the same too.
    """
    document, variables = operation.document, operation.variables
    await compare(TWIN_EXECUTOR, document, variables, context=Diary, exact=True)
    await compare(EXECUTOR, document, variables, context=Diary, sync=TWIN)
    diaries = Diary(), Diary()
    sync = await response(on_core(TWIN), document, variables, context=diaries[0])
    compiled = await response(on_compiled(EXECUTOR), document, variables, context=diaries[1])
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


def fallbacks() -> Counter[str]:
    """Why operations were left to graphql-core so far, and how many for each reason."""
    executors = (EXECUTOR, TWIN_EXECUTOR, api_schema.executor)
    return sum((executor.fallbacks for executor in executors), _fallbacks_of_declared)


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


def search(kind: Kind, seed_: int, progress: Progress) -> None:
    """Compare operations until one shows a difference, which is shown as it was drawn, and as small as it can be."""
    with asyncio.Runner() as runner:
        found: list[Operation] = []

        def run(operation: Operation) -> None:
            runner.run(kind.check(operation))

        def look_at(operation: Operation) -> None:
            if found:
                return
            progress.step()
            if wrong := fails_with(run, operation):
                found.append(operation)
                progress.differ(f"{operation.source}\n\n{operation.variables}\n\n{wrong}")

        draw(kind.operations(), progress.examples, seed_, look_at)
        for operation in found:
            smallest = minimise(kind.schema, operation, lambda smaller: fails_with(run, smaller) is not None)
            progress.show(f"{smallest.source}\n\n{smallest.variables}\n\n{fails_with(run, smallest)}")


def main(arguments: list[str] | None = None) -> int:
    """Search, and return 1 where a difference was found or an operation was left to graphql-core."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=2000, help="operations to draw of each kind")
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same operations")
    parser.add_argument(
        "--kind", choices=[*KINDS, *API], action="append", help="what to draw, once or more; all where none is given"
    )
    given_ = parser.parse_args(arguments)
    started, searched = time.monotonic(), []
    before = fallbacks()
    for name in given_.kind or [*KINDS, *API]:
        progress = Progress(name, given_.examples)
        if name in API:
            api.search(given_.seed, progress, mutation=API[name])
        else:
            search(KINDS[name], given_.seed, progress)
        progress.tell()
        searched.append(progress)
    schemas = {id(KINDS[each.kind].schema if each.kind in KINDS else api.SCHEMA) for each in searched}
    operations_, differences = sum(each.operations for each in searched), sum(each.differences for each in searched)
    left = fallbacks() - before
    sys.stdout.write(
        f"seed {given_.seed}, {time.monotonic() - started:.0f} s: schemas {len(schemas)}, operations {operations_:,}, "
        f"differences {differences}, fallbacks {left.total()}{f' {dict(left)}' if left else ''}\n"
    )
    return 1 if differences or left else 0


if __name__ == "__main__":
    sys.exit(main())
