"""Generated operations over the awkward schema, and some that were found to be difficult once."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.execution import drawn
from tests.execution.awkward import build
from tests.execution.fuzz import KINDS, SCHEMA, TWIN, Kind, fails_with, main
from tests.execution.minimising import minimise
from tests.execution.operations import Operation


def test_schemas_are_equal_but_for_what_is_awaited() -> None:
    assert SCHEMA is build(True)
    assert TWIN is build(False)
    assert list(SCHEMA.type_map) == list(TWIN.type_map)


# the same operations each time: what is new is looked for by the command
def test_generated_queries() -> None:
    for operation in drawn.operations("queries"):
        assert_equal_responses(KINDS["queries"], operation)


def test_generated_mutations() -> None:
    for operation in drawn.operations("mutations"):
        assert_equal_responses(KINDS["mutations"], operation)


def test_generated_queries_of_declared_fields() -> None:
    for operation in drawn.operations("declared"):
        assert_equal_responses(KINDS["declared"], operation)


def test_what_was_drawn_is_what_would_be_drawn_today() -> None:
    again = "run `python -m tests.execution.drawn`"
    assert drawn.recorded_fingerprint() == drawn.fingerprint(), again
    assert all(len(drawn.operations(name)) == drawn.NUMBER for name in KINDS), again


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
    assert_equal_responses(KINDS["queries"], Operation(source, {"on": None} if "$on" in source else {}))


@pytest.mark.parametrize(
    "source",
    [
        # a tuple becomes a list, by generated code too
        "{ rows(kinds: [TUPLES, GOOD]) { stringList idGrid intListOfRequired } }",
        # one object in many places, with errors in it that are told of each
        "{ rows(kinds: [GOOD, GOOD, ODD]) { next(kinds: [WRONG]) { int nexts(kinds: [ERRORS]) { idRequired } } } }",
        "{ things(kinds: [GOOD, NULLS]) { ... on Row { nextThing(kinds: [NULLS]) { ... on Row { idRequired } } } } }",
        # batches that fail as a whole, for one, and before they begin
        "{ rows { a: next(fail: true) { int } b: nextLater(fail: true) { int } c: next(refuse: true) { int } } }",
        "{ rows(kinds: [ERRORS, GOOD]) { next(kinds: []) { int } nextRequired(kinds: []) { int } } }",
        "{ rows(kinds: [ERRORS, GOOD]) { nextOrElse(fail: true) { id } nextThing(fail: true) { int } } }",
        # what can be read of one and not of another
        "{ rows(kinds: [GOOD, EMPTY, WRONG, ERRORS, UNDEFINED, null]) { intList boolean idRequired colour odd } }",
    ],
)
def test_difficult_declared_fields(source: str) -> None:
    assert_equal_responses(KINDS["declared"], Operation(source))


@pytest.mark.parametrize("last", ["GOOD", "NULLS", "WRONG", "ODD", "ERRORS", "EMPTY", "null"])
def test_many_rows_and_one_that_differs(last: str) -> None:
    kinds = ", ".join(["GOOD"] * 10 + [last])
    leaves = "a: id __typename int string stringList colour odd"
    for fields in (f"{leaves} next {{ {leaves} }}", "intRequired string", "__typename", "next { id }"):
        assert_equal_responses(KINDS["declared"], Operation(f"{{ rows(kinds: [{kinds}]) {{ {fields} }} }}"))


def assert_equal_responses(kind: Kind, operation: Operation) -> None:
    """Fail with the smallest operation that shows a difference."""

    def run(operation: Operation) -> None:
        asyncio.run(kind.check(operation))

    wrong = fails_with(run, operation)
    if wrong is None:
        return
    smallest = minimise(kind.schema, operation, lambda smaller: fails_with(run, smaller) is not None)
    pytest.fail(f"{smallest.source}\n{smallest.variables}\n{fails_with(run, smallest) or wrong}")


def test_the_command_tells_how_far_it_is_and_sums_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--examples", "4", "--seed", "3", "--kind", "queries", "--kind", "declared"]) == 0

    told = capsys.readouterr()
    assert re.fullmatch(
        r"seed 3, \d+ s: schemas 2, operations 8, differences 0, fallbacks 0\n",
        told.out,
    )
    assert re.fullmatch(
        "".join(
            # now and then it says how far it is, where the machine is busy
            rf"(?:{kind}: \d of 4 operations in \d+ s, 0 with a difference\n)*{kind}: 4 of 4 .*\n"
            for kind in ("queries", "declared")
        ),
        told.err,
    )


def test_the_command_shows_a_difference_as_small_as_it_can_be(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(operation: Operation) -> None:
        assert "thing" not in operation.source, "it has a thing"

    monkeypatch.setitem(KINDS, "queries", KINDS["queries"]._replace(check=check))

    assert main(["--examples", "50", "--kind", "queries"]) == 1

    *_, smallest, _variables, wrong, summary = capsys.readouterr().out.split("\n\n")
    assert "thing" in smallest
    assert smallest.count("\n") <= 5
    assert wrong.startswith("AssertionError: it has a thing")
    assert ", differences 1, fallbacks 0" in summary
