"""Arguments and variables of every kind, and what is wrong with those that don't fit.

The cases are those of graphql-core's tests/execution/test_variables.py and test_oneof.py (MIT licence), in a form of
their own: `inputs.json` has operations over the schema of `inputs_schema`, and the responses that are expected.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from graphql.pyutils import Undefined

from tests.execution.conftest import Run
from tests.execution.inputs_schema import SCHEMA

pytestmark = pytest.mark.anyio
CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("inputs.json").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['query']} {case['variables']}")
async def test_input(run: Run, case: dict[str, Any]) -> None:
    data, errors = await run(SCHEMA, case["query"], variables=case["variables"])
    assert data == case["data"]
    expected = [(message, path, [tuple(place) for place in places]) for message, path, places in case["errors"]]
    assert errors == expected


async def test_undefined_variable_is_one_that_is_missing(run: Run) -> None:
    query = 'query ($v: String = "default") { text(input: $v) }'
    assert await run(SCHEMA, query, variables={"v": Undefined}) == ({"text": "'default'"}, [])


async def test_number_of_errors_is_limited(run: Run) -> None:
    query = "query ($v: [Int!]!) { json }"
    data, errors = await run(SCHEMA, query, variables={"v": ["x"] * 60})
    assert (data, len(errors)) == (None, 51)
    last = "Too many errors processing variables, error limit reached. Execution aborted."
    assert last in [message for message, _, _ in errors]
