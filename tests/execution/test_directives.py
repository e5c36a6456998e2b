"""`@skip` and `@include`, wherever they may stand.

The cases are those of graphql-core's tests/execution/test_directives.py (MIT licence), in a form of their own.
"""

from __future__ import annotations

import pytest

from tests.execution.conftest import Run

pytestmark = pytest.mark.anyio
SCHEMA = "type Query { a: String  b: String }"
ROOT = {"a": "a", "b": "b"}


@pytest.mark.parametrize(
    "query",
    [
        "{ a b %s }",
        "{ a ...F %s } fragment F on Query { b }",
        "{ a ... on Query %s { b } }",
        "{ a ... %s { b } }",
        "{ a ... { ...F %s } } fragment F on Query { ... { b } }",
    ],
    ids=["field", "spread", "inline fragment", "anonymous fragment", "nested"],
)
@pytest.mark.parametrize(
    ("directives", "included"),
    [
        ("", True),
        ("@include(if: true)", True),
        ("@include(if: false)", False),
        ("@skip(if: true)", False),
        ("@skip(if: false)", True),
        ("@include(if: true) @skip(if: false)", True),
        ("@include(if: true) @skip(if: true)", False),
        ("@include(if: false) @skip(if: false)", False),
        ("@skip(if: true) @include(if: false)", False),
    ],
)
@pytest.mark.parametrize("by_variable", [False, True])
async def test_conditions(run: Run, query: str, directives: str, included: bool, by_variable: bool) -> None:
    variables = None
    if by_variable:
        directives = directives.replace("true", "$yes").replace("false", "$no")
        query = "query ($yes: Boolean!, $no: Boolean = false) " + query
        variables = {"yes": True}
    data = {"a": "a", "b": "b"} if included else {"a": "a"}
    assert await run(SCHEMA, query % directives, ROOT, variables=variables) == (data, [])


async def test_skipped_here_and_asked_for_there(run: Run) -> None:
    query = "{ b @skip(if: true) a ...F @include(if: false) ...F } fragment F on Query { b }"
    data, errors = await run(SCHEMA, query, ROOT)
    assert (list(data.items()), errors) == ([("a", "a"), ("b", "b")], [])


async def test_nothing_is_left(run: Run) -> None:
    assert await run(SCHEMA, "{ a @skip(if: true) }", ROOT) == ({}, [])


async def test_condition_that_is_null(run: Run) -> None:
    """The variable may be null for its default; as a condition it is an error of the field around."""
    message = (
        "Argument 'if' has invalid value: Expected variable '$on' provided to non-null type 'Boolean!' not to be None."
    )
    query = "query ($on: Boolean = true) { a @skip(if: $on) }"
    assert await run(SCHEMA, query, ROOT, variables={"on": None}) == (None, [(message, [], [(1, 43)])])

    nested = "type Query { q: Query  a: String }"
    query = "query ($on: Boolean = true) { a q { a @include(if: $on) } }"
    root = {"a": "a", "q": {}}
    assert await run(nested, query, root, variables={"on": None}) == (
        {"a": "a", "q": None},
        [(message, ["q"], [(1, 52)])],
    )
