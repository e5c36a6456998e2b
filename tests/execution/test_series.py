"""Mutations: one root field after the other, until one that may not be null fails.

The cases are those of graphql-core's tests/execution/test_mutations.py (MIT licence), in a form of their own.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.execution.conftest import Run

pytestmark = pytest.mark.anyio
SCHEMA = """
    type Holder { number: Int  eventually: Int  must: Int! }
    type Query { holder: Holder }
    type Mutation {
      set(to: Int): Holder  setLater(to: Int): Holder  fail(later: Boolean): Holder  must(to: Int): Holder!
    }
"""


class Holder:
    """A number, and what a read of it gives."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def number(self, _info: Any) -> int:
        return self._root.number

    async def eventually(self, _info: Any) -> int:
        for _ in range(5):
            await asyncio.sleep(0)
        return self._root.number

    must = None


class Root:
    """Sets the number, at once or after a while; `done` is what was done, in order."""

    def __init__(self) -> None:
        self.number = 6
        self.done: list[str] = []

    def set(self, _info: Any, to: int) -> Holder:
        self.done.append(f"set {to}")
        self.number = to
        return Holder(self)

    async def setLater(self, info: Any, to: int) -> Holder:
        self.done.append(f"begin {to}")
        for _ in range(10):
            await asyncio.sleep(0)
        return self.set(info, to)

    def fail(self, _info: Any, later: bool = False) -> Any:
        self.done.append("fail")
        if later:
            return self._fail()
        raise RuntimeError("It can't be set")

    async def _fail(self) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("It can't be set")

    def must(self, _info: Any, to: int | None = None) -> Holder | None:
        self.done.append(f"must {to}")
        return None if to is None else self.set(_info, to)


async def test_one_after_the_other(run: Run) -> None:
    root = Root()
    query = """mutation {
        a: set(to: 1) { number eventually }
        b: setLater(to: 2) { eventually number }
        c: set(to: 3) { eventually }
        d: setLater(to: 4) { number }
    }"""
    data, errors = await run(SCHEMA, query, root)
    assert (data, errors) == (
        {
            "a": {"number": 1, "eventually": 1},
            "b": {"eventually": 2, "number": 2},
            "c": {"eventually": 3},
            "d": {"number": 4},
        },
        [],
    )
    assert list(data) == ["a", "b", "c", "d"]
    assert root.done == ["set 1", "begin 2", "set 2", "set 3", "begin 4", "set 4"]


@pytest.mark.parametrize("later", ["false", "true"])
async def test_one_that_fails_does_not_stop_the_others(run: Run, later: str) -> None:
    root = Root()
    query = "mutation { a: set(to: 1) { number } b: fail(later: LATER) { number } c: setLater(to: 2) { number } }"
    query = query.replace("LATER", later)
    assert await run(SCHEMA, query, root) == (
        {"a": {"number": 1}, "b": None, "c": {"number": 2}},
        [("It can't be set", ["b"], [(1, 37)])],
    )
    assert root.done == ["set 1", "fail", "begin 2", "set 2"]


async def test_null_that_may_not_be_stops_the_series(run: Run) -> None:
    root = Root()
    query = "mutation { a: set(to: 1) { number } x: fail { number } b: must { number } c: set(to: 2) { number } }"
    assert await run(SCHEMA, query, root) == (
        None,
        [
            ("Cannot return null for non-nullable field Mutation.must.", ["b"], [(1, 56)]),
            ("It can't be set", ["x"], [(1, 37)]),
        ],
    )
    assert root.done == ["set 1", "fail", "must None"]


async def test_null_below_a_root_field(run: Run) -> None:
    root = Root()
    query = (
        "mutation { a: set(to: 1) { must } b: set(to: 2) { number } c: must(to: 3) { must } d: set(to: 4) { number } }"
    )
    message = "Cannot return null for non-nullable field Holder.must."
    assert await run(SCHEMA, query, root) == (
        None,
        [(message, ["a", "must"], [(1, 28)]), (message, ["c", "must"], [(1, 77)])],
    )
    assert root.done == ["set 1", "set 2", "must 3", "set 3"]


async def test_fragments_and_conditions(run: Run) -> None:
    root = Root()
    query = """mutation ($no: Boolean!) { ...A  ...B @include(if: $no)  c: set(to: 3) { number } }
        fragment A on Mutation { a: setLater(to: 1) { number } }
        fragment B on Mutation { b: set(to: 2) { number } }"""
    assert await run(SCHEMA, query, root, variables={"no": False}) == (
        {"a": {"number": 1}, "c": {"number": 3}},
        [],
    )
    assert root.done == ["begin 1", "set 1", "set 3"]


async def test_merged_fields_are_done_once(run: Run) -> None:
    root = Root()
    query = "mutation { set(to: 1) { number } ... { set(to: 1) { eventually } } }"
    assert await run(SCHEMA, query, root) == ({"set": {"number": 1, "eventually": 1}}, [])
    assert root.done == ["set 1"]


async def test_unknown_field_is_left_out(run: Run) -> None:
    assert await run(SCHEMA, "mutation { unknown  set(to: 1) { number unknown } }", Root()) == (
        {"set": {"number": 1}},
        [],
    )
