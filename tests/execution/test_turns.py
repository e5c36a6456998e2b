"""Large levels let others have a turn of the event loop first."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from graphql import build_schema, execute_sync, parse

from api.execution import Executor, SizeBudget, plan
from api.execution.completion import base
from api.execution.fallback import execute_with_graphql_core
from tests.execution import declared

pytestmark = pytest.mark.anyio

SCHEMA = build_schema("type Query { lists: [[Item]] } type Item { id: Int! item: Item }")
QUERY = parse("{ lists { id item { id item { id } } } }")


@pytest.mark.parametrize(("turn", "expected"), [(3, ["item"]), (2, ["other", "item"])])
async def test_others_have_a_turn_before_a_large_level(
    monkeypatch: pytest.MonkeyPatch, turn: int, expected: list[str]
) -> None:
    monkeypatch.setattr(base, "LARGE_LEVEL", turn)
    happened: list[str] = []

    class Item(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            happened.append("item")
            return super().__getitem__(name)

        def get(self, name: str, default: Any = None) -> Any:
            happened.append("item")
            return super().get(name, default)

    def item(number: int | None) -> Item:
        return Item(id=number, item=Item(id=number, item=None))

    root = {"lists": [[item(1), item(2)], [], [item(3)]]}
    asyncio.get_running_loop().call_soon(happened.append, "other")

    result = await Executor(SCHEMA).execute(QUERY, root_value=root)

    assert result.errors is None
    assert list(dict.fromkeys(happened)) == expected
    assert result.data == execute_sync(SCHEMA, QUERY, root).data


async def test_what_fails_in_a_large_level_fails_as_in_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "LARGE_LEVEL", 1)
    root = {"lists": [[{"id": 1}, {"id": None}], [{"id": 2}]]}

    result = await Executor(SCHEMA).execute(QUERY, root_value=root)

    core = execute_sync(SCHEMA, QUERY, root)
    assert result.data == core.data == {"lists": [[{"id": 1, "item": None}, None], [{"id": 2, "item": None}]]}
    assert [error.formatted for error in result.errors or ()] == [error.formatted for error in core.errors or ()]


@pytest.mark.parametrize("odd", ["GOOD", "NULLS", "ERRORS", "WRONG", "EMPTY"])
async def test_the_leaves_of_a_large_level_are_made_in_pieces(monkeypatch: pytest.MonkeyPatch, odd: str) -> None:
    monkeypatch.setattr(plan, "PIECE", 2)
    kinds = f"kinds: [GOOD, GOOD, GOOD, {odd}, NULLS, GOOD, GOOD]"
    leaves = "a: id __typename int colour stringList intListOfRequired"
    query = parse(f"{{ rows({kinds}) {{ {leaves} next {{ {leaves} nextLater {{ idRequired }} }} string }} }}")
    executor = Executor(declared.SCHEMA, declared.Declared())
    turns: list[int] = []
    executing = asyncio.ensure_future(executor.execute(query))
    while not executing.done():
        turns.append(1)
        await asyncio.sleep(0)

    result = await executing

    core = await execute_with_graphql_core(declared.SCHEMA, query, SizeBudget())
    assert orjson.dumps(result.data) == orjson.dumps(core.data)
    assert [error.formatted for error in result.errors or ()] == [error.formatted for error in core.errors or ()]
    assert len(turns) > 4
