"""Errors and nulls in places that may be null and in places that may not.

The cases are those of graphql-core's tests/execution/test_nonnull.py (MIT licence), in a form of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
)

from tests.execution.conftest import Run

pytestmark = pytest.mark.anyio

SCHEMA = """
    type Node { value: String  must: String!  node: Node  mustNode: Node! }
    type Query { value: String  must: String!  node: Node  mustNode: Node! }
"""
NULL_IN_NODE = "Cannot return null for non-nullable field Node.must."


def source(value: Callable[[], Any], later: bool) -> Any:
    """An object whose leaves are what `value` gives, and whose nodes are like it; later or at once."""

    async def eventually(act: Callable[[], Any]) -> Any:
        return act()

    def answer(act: Callable[[], Any]) -> Callable[[Any], Any]:
        return lambda _info: eventually(act) if later else act()

    return {
        "value": answer(value),
        "must": answer(value),
        "node": answer(lambda: source(value, later)),
        "mustNode": answer(lambda: source(value, later)),
    }


def null() -> None:
    return None


def fail() -> Any:
    raise RuntimeError("It fails")


@pytest.mark.parametrize("later", [False, True])
async def test_place_that_may_be_null(run: Run, later: bool) -> None:
    assert await run(SCHEMA, "{ value }", source(null, later)) == ({"value": None}, [])
    assert await run(SCHEMA, "{ value }", source(fail, later)) == (
        {"value": None},
        [("It fails", ["value"], [(1, 3)])],
    )


@pytest.mark.parametrize("later", [False, True])
async def test_object_with_a_null_that_may_not_be(run: Run, later: bool) -> None:
    assert await run(SCHEMA, "{ node { must } }", source(null, later)) == (
        {"node": None},
        [(NULL_IN_NODE, ["node", "must"], [(1, 10)])],
    )
    assert await run(SCHEMA, "{ node { must } }", source(fail, later)) == (
        {"node": None},
        [("It fails", ["node", "must"], [(1, 10)])],
    )


@pytest.mark.parametrize("later", [False, True])
async def test_tree_whose_places_may_all_be_null(run: Run, later: bool) -> None:
    query = "{ node { value node { value } other: node { value } } value }"
    data = {"node": {"value": None, "node": {"value": None}, "other": {"value": None}}, "value": None}
    assert await run(SCHEMA, query, source(null, later)) == (data, [])
    assert await run(SCHEMA, query, source(fail, later)) == (
        data,
        [
            ("It fails", ["node", "node", "value"], [(1, 23)]),
            ("It fails", ["node", "other", "value"], [(1, 45)]),
            ("It fails", ["node", "value"], [(1, 10)]),
            ("It fails", ["value"], [(1, 55)]),
        ],
    )


@pytest.mark.parametrize("later", [False, True])
async def test_null_goes_up_to_the_first_place_that_may_be_null(run: Run, later: bool) -> None:
    query = "{ node { mustNode { mustNode { must } } } other: node { node { mustNode { must } } } }"
    data = {"node": None, "other": {"node": None}}
    assert await run(SCHEMA, query, source(null, later)) == (
        data,
        [
            (NULL_IN_NODE, ["node", "mustNode", "mustNode", "must"], [(1, 32)]),
            (NULL_IN_NODE, ["other", "node", "mustNode", "must"], [(1, 75)]),
        ],
    )
    assert await run(SCHEMA, query, source(fail, later)) == (
        data,
        [
            ("It fails", ["node", "mustNode", "mustNode", "must"], [(1, 32)]),
            ("It fails", ["other", "node", "mustNode", "must"], [(1, 75)]),
        ],
    )


@pytest.mark.parametrize("later", [False, True])
async def test_null_goes_up_to_the_top(run: Run, later: bool) -> None:
    message = "Cannot return null for non-nullable field Query.must."
    assert await run(SCHEMA, "{ must }", source(null, later)) == (None, [(message, ["must"], [(1, 3)])])
    assert await run(SCHEMA, "{ mustNode { mustNode { must } } }", source(fail, later)) == (
        None,
        [("It fails", ["mustNode", "mustNode", "must"], [(1, 25)])],
    )


async def test_several_errors_of_one_null(run: Run) -> None:
    """What had failed before the first that makes everything null is reported too; what comes after it is not."""
    query = "{ node { value node { must } mustNode { must } last: value } }"
    assert await run(SCHEMA, query, source(fail, False)) == (
        {"node": None},
        [
            ("It fails", ["node", "mustNode", "must"], [(1, 41)]),
            ("It fails", ["node", "node", "must"], [(1, 23)]),
            ("It fails", ["node", "value"], [(1, 10)]),
        ],
    )


async def test_errors_do_not_change_after_the_response(run: Run) -> None:
    """Siblings that take longer than the error that makes their parent null."""
    late = source(fail, True)
    root = {"node": {"must": lambda _info: fail(), "node": lambda _info: late}}
    assert await run(SCHEMA, "{ node { must node { node { value } } } }", root) == (
        {"node": None},
        [("It fails", ["node", "must"], [(1, 10)])],
    )


ARGUMENT = GraphQLSchema(
    GraphQLObjectType(
        "Query",
        {
            "say": GraphQLField(
                GraphQLString,
                {"text": GraphQLArgument(GraphQLNonNull(GraphQLString))},
                resolve=lambda _source, _info, text: f"It says {text}",
            )
        },
    )
)


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ('{ say(text: "literal") }', {}),
        ("query ($text: String!) { say(text: $text) }", {"text": "literal"}),
        ('query ($text: String = "literal") { say(text: $text) }', {}),
    ],
)
async def test_argument_that_may_not_be_null(run: Run, query: str, variables: dict[str, Any]) -> None:
    assert await run(ARGUMENT, query, variables=variables) == ({"say": "It says literal"}, [])


@pytest.mark.parametrize(
    ("query", "variables", "message", "column"),
    [
        ("{ say }", {}, "Argument 'text' of required type 'String!' was not provided.", 3),
        (
            "{ say(text: null) }",
            {},
            "Argument 'text' has invalid value: Expected value of non-null type 'String!' not to be None.",
            13,
        ),
        (
            "query ($text: String) { say(text: $text) }",
            {},
            "Argument 'text' has invalid value: Expected variable '$text' provided to type 'String!'"
            " to provide a runtime value.",
            35,
        ),
        (
            'query ($text: String = "default") { say(text: $text) }',
            {"text": None},
            "Argument 'text' has invalid value: Expected variable '$text' provided to non-null type 'String!'"
            " not to be None.",
            47,
        ),
    ],
)
async def test_argument_that_is_null_all_the_same(
    run: Run, query: str, variables: dict[str, Any], message: str, column: int
) -> None:
    """The first three are not valid, but executed they are errors of the field."""
    assert await run(ARGUMENT, query, variables=variables) == ({"say": None}, [(message, ["say"], [(1, column)])])
