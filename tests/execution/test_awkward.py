"""Generated operations over the awkward schema, and some that were found to be difficult once."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.execution.awkward import build
from tests.execution.fuzz import SCHEMA, TWIN, awkward_operations, check, fails_with
from tests.execution.minimising import minimise
from tests.execution.operations import Operation

# the same operations each time: what is new is looked for by the command, which prints them smaller
bounded = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_schemas_are_equal_but_for_what_is_awaited() -> None:
    assert SCHEMA is build(True)
    assert TWIN is build(False)
    assert list(SCHEMA.type_map) == list(TWIN.type_map)


@bounded
@given(awkward_operations())
def test_generated_queries(operation: Operation) -> None:
    assert_equal_responses(operation)


@bounded
@given(awkward_operations(mutation=True))
def test_generated_mutations(operation: Operation) -> None:
    assert_equal_responses(operation)


@pytest.mark.parametrize(
    "source",
    [
        # a list that breaks off half-way: the errors of the items before that are reported too
        "{ intCube(in: FAILING_ASYNC_GENERATOR) }",
        "{ intListOfRequired(each: [VALUE, NULL], in: FAILING_GENERATOR) }",
        "{ intList(each: [RAISES, VALUE, ODD], in: FAILING_GENERATOR) }",
        # every list type, holding every kind of failure
        "{ thing { intAllRequired(each: [VALUE, RAISES], in: MIXED) } int(how: RAISES) }",
        "{ a: thing { intRequired(how: RAISES, later: true) stringRequired(how: RAISES) } b: thing { id } }",
        # abstract types by each way
        "{ creature(kind: DOG, later: true) { __typename ... on Dog { barks } ... on Animal { friend { name } } } }",
        "{ creature(kind: NO_CAT_BY_NAME) { name } pet_: creature(kind: FAILS_BY_NAME) { name } }",
        "{ animal_(kind: NOBODY) { name } b: animal_(kind: NO_TEXT) { name } c: animal_(kind: NOT_POSSIBLE) { name } }",
        "{ thing { pet_(kind: FISH) { ... on Fish { a: name } ... on Being { name } } } }",
        # a condition that is null, found out where the type is known
        "query ($on: Boolean = true) { beingGrid { ... on Stone @skip(if: $on) { weight } } }",
        # the default resolver
        "{ a: plain(from: ATTRIBUTES) { text number method eventually failing myself { text } } }",
        "{ a: plain(from: MAPPING) { text failing method } b: plain(from: PROXY) { text number } }",
        "{ a: plain(from: TYPE) { text method number myself { text } } b: plain(from: FALSE) { text } }",
        # in series, until one that may not be null fails
        'mutation { a: write(text: "a", later: true) { id } b: writeRequired(text: "b", how: RAISES) { id }'
        ' c: write(text: "c") { id } }',
        'mutation { a: write(text: "a", how: RAISES) { id } b: write(text: "b") { intRequired(how: NULL) } writes }',
        'mutation { a: writeRequired(text: "a") { intRequired(how: NULL, later: true) } b: write(text: "b") { id } }',
    ],
)
def test_difficult_operations(source: str) -> None:
    assert_equal_responses(Operation(source, {"on": None} if "$on" in source else {}))


def assert_equal_responses(operation: Operation) -> None:
    """Fail with the smallest operation that shows the same difference."""
    wrong = fails_with(run, operation)
    if wrong is None:
        return
    smallest = minimise(SCHEMA, operation, lambda smaller: fails_with(run, smaller) is not None)
    pytest.fail(f"{smallest.source}\n{smallest.variables}\n{fails_with(run, smallest) or wrong}")


def run(operation: Operation) -> None:
    """Compare in an event loop of its own."""
    asyncio.run(check(operation))
