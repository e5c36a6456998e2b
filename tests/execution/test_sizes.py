"""How large an answer gets is counted while it is made, by both executors, and ends what doesn't fit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from graphql import (
    GraphQLField,
    GraphQLInt,
    GraphQLList,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    parse,
)

from api.execution import Batch, Executor, Plain, SizeBudget, TooLarge
from api.execution.declarations import Declaration, NothingDeclared
from api.execution.fallback import execute_with_graphql_core

pytestmark = pytest.mark.anyio

_EMOJI: Final = "\N{DRESS}" * 5000
_OWNERS: Final = [{"name": "n" * 300, "number": 1}, {"name": None, "number": 2}]
_OWNED: Final = [0, 0, 0, 0, 1, 0]


def _item(number: int) -> dict[str, Any]:
    return {
        "name": f"number {number}",
        "text": _EMOJI if number == 2 else None,
        "tags": ["linen", None, "w" * number] if number else None,
        "number": number,
        "json": {"a": ["b" * number, 1.5, None]},
        "owner": _OWNERS[_OWNED[number]],
        "owners": _OWNERS,
    }


_ROOT: Final[Mapping[str, Any]] = {"items": [_item(number) for number in range(6)]}


def _schema() -> GraphQLSchema:
    json_ = GraphQLScalarType("JSON")
    fields = {"name": GraphQLField(GraphQLString), "number": GraphQLField(GraphQLInt)}
    owner = GraphQLObjectType("Owner", lambda: {**fields, "tags": GraphQLField(GraphQLList(GraphQLString))})
    item = GraphQLObjectType(
        "Item",
        {
            **owner.fields,
            "text": GraphQLField(GraphQLString),
            "json": GraphQLField(json_),
            "owner": GraphQLField(owner),
            "owners": GraphQLField(GraphQLList(owner)),
        },
    )
    return GraphQLSchema(GraphQLObjectType("Query", {"items": GraphQLField(GraphQLList(item))}))


class _Declared(NothingDeclared):
    """Leaves are read by generated code, owners loaded in batches, so that they are shared."""

    def field(self, parent: GraphQLObjectType, name: str, field: GraphQLField) -> Declaration | None:
        if name in ("owner", "owners"):
            return Batch(lambda sources, *_: [source[name] for source in sources])
        if parent.name in ("Item", "Owner"):
            return Plain(lambda source: source.get(name), f"source.get({name!r})")
        return None


SCHEMA: Final = _schema()
QUERIES: Final = {
    "numbers": "{ items { number __typename } }",
    "texts": "{ items { name } }",
    "long keys": "{ items { %s: number } }" % ("k" * 1000),
    "large texts": "{ items { a: text b: text name } }",
    "lists of texts": "{ items { tags } }",
    "any JSON": "{ items { json } }",
    "objects that are shared": "{ items { owner { name number } } }",
    "what is shared, in what is shared": "{ items { owner { name } owners { name more: name } } }",
}
EXECUTORS: Final = ("core", "compiled", "declared")


async def _run(executor: str, query: str, size_budget: SizeBudget) -> Any:
    """The data, of the third execution of a plan: by then code is generated for it."""
    document = parse(query)
    if executor == "core":
        result = await execute_with_graphql_core(SCHEMA, document, size_budget, root_value=_ROOT)
    else:
        compiled = Executor(SCHEMA, _Declared() if executor == "declared" else None)
        for _ in range(2):
            await compiled.execute(document, root_value=_ROOT)
        result = await compiled.execute(document, root_value=_ROOT, size_budget=size_budget)
    assert result.errors is None
    return result.data


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_what_is_counted_is_about_what_the_answer_has(executor: str) -> None:
    for name, query in QUERIES.items():
        size_budget = SizeBudget()
        data = await _run(executor, query, size_budget)
        counted = size_budget.size - size_budget.left
        real = len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())

        assert real / 2 < counted <= real, (name, counted, real)
        assert await _run(executor, query, SizeBudget(counted)) == data
        with pytest.raises(TooLarge) as caught:
            await _run(executor, query, SizeBudget(counted - 1))
        assert caught.value.size >= counted - 1


async def test_all_executors_count_alike() -> None:
    for name, query in QUERIES.items():
        counted = set()
        for executor in EXECUTORS:
            size_budget = SizeBudget()
            await _run(executor, query, size_budget)
            counted.add(size_budget.left)
        assert max(counted) - min(counted) <= 15_100, name  # of a column of few characters, bytes aren't counted
        if name != "large texts":
            assert max(counted) - min(counted) <= 30, name


async def test_it_ends_before_the_rest_is_made() -> None:
    """Texts are counted before others are read, and what is awaited elsewhere is cancelled."""
    read: list[str] = []
    cancelled = asyncio.Event()

    async def never(*_: Any) -> str:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()
        return "never"

    async def text(*_: Any) -> str:
        await asyncio.sleep(0)
        read.append("text")
        return "t" * 1000

    type_: GraphQLObjectType = GraphQLObjectType(
        "Query",
        lambda: {
            "never": GraphQLField(GraphQLString, resolve=never),
            "text": GraphQLField(GraphQLString, resolve=text),
            "next": GraphQLField(type_, resolve=lambda *_: {}),
        },
    )
    document = parse("{ never text a: text next { text next { text } } }")
    with pytest.raises(TooLarge):
        await Executor(GraphQLSchema(type_)).execute(document, size_budget=SizeBudget(1500))

    assert cancelled.is_set()


async def test_operations_share_a_room() -> None:
    size_budget = SizeBudget(1000)
    executor = Executor(SCHEMA)
    document = parse("{ items { name } }")  # 6 * (name and quotes and braces)
    await executor.execute(document, root_value=_ROOT, size_budget=size_budget)
    taken = size_budget.size - size_budget.left
    for _ in range(1000 // taken - 1):
        await executor.execute(document, root_value=_ROOT, size_budget=size_budget)

    with pytest.raises(TooLarge):
        await executor.execute(document, root_value=_ROOT, size_budget=size_budget)
