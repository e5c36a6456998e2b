"""What is a list, and what of a list may be null.

The cases are those of graphql-core's tests/execution/test_lists.py (MIT licence), in a form of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from graphql import GraphQLField, GraphQLList, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, GraphQLString

from tests.execution.behaviour import AsyncIterable_, Iterable_
from tests.execution.conftest import Expected, Run

pytestmark = pytest.mark.anyio
NULL = "Cannot return null for non-nullable field Query.list."
NO_LIST = "Expected Iterable, but did not find one for field 'Query.list'."


async def of(run: Run, make: Callable[[], Any], type_: str = "[String]") -> Expected:
    """The response with this list."""
    return await run(f"type Query {{ list: {type_} }}", "{ list }", {"list": lambda _info: make()})


def failed(message: str, *path: str | int, data: Any = None) -> Expected:
    return {"list": data}, [(message, ["list", *path], [(1, 3)])]


def generator() -> Iterator[Any]:
    yield "one"
    yield 2
    yield True


async def async_generator() -> AsyncIterator[Any]:
    yield "one"
    await asyncio.sleep(0)
    yield 2
    yield True


@pytest.mark.parametrize(
    "make",
    [
        lambda: ["one", 2, True],
        lambda: ("one", 2, True),
        lambda: {"one": 0, 2: 0, True: 0}.keys(),
        lambda: Iterable_(["one", 2, True]),
        lambda: AsyncIterable_(["one", 2, True]),
        generator,
        async_generator,
        lambda: eventually(("one", 2, True)),
        lambda: [eventually("one"), 2, eventually(True)],
        lambda: eventually([eventually("one"), eventually(2), True]),
    ],
    ids=[
        "list",
        "tuple",
        "view",
        "iterable",
        "async iterable",
        "generator",
        "async generator",
        "awaited",
        "mixed",
        "all",
    ],
)
async def test_what_is_a_list(run: Run, make: Callable[[], Any]) -> None:
    assert await of(run, make) == ({"list": ["one", "2", "true"]}, [])


async def eventually(value: Any) -> Any:
    await asyncio.sleep(0)
    if isinstance(value, Exception):
        raise value
    return value


async def test_set(run: Run) -> None:
    data, errors = await of(run, lambda: {"a", "b"})
    assert (sorted(data["list"]), errors) == (["a", "b"], [])


@pytest.mark.parametrize("value", [{"a": 1}, "text", b"bytes", 5, object])
async def test_what_is_no_list(run: Run, value: Any) -> None:
    assert await of(run, lambda: value) == failed(NO_LIST)


async def test_both_kinds_of_iterable_are_read_asynchronously(run: Run) -> None:
    class TwoKinds(Iterable_):
        async def __aiter__(self) -> AsyncIterator[str]:
            yield "asynchronous"

    assert await of(run, lambda: TwoKinds(["synchronous"])) == ({"list": ["asynchronous"]}, [])


def broken() -> Iterator[Any]:
    yield "one"
    raise RuntimeError("It breaks off")


async def async_broken() -> AsyncIterator[Any]:
    yield "one"
    raise RuntimeError("It breaks off")


@pytest.mark.parametrize("make", [broken, async_broken])
async def test_iterable_that_breaks_off(run: Run, make: Callable[[], Any]) -> None:
    assert await of(run, make) == failed("It breaks off")
    assert await of(run, make, "[String!]") == failed("It breaks off")
    assert await of(run, make, "[String!]!") == (None, failed("It breaks off")[1])


async def test_awaitables_of_a_list_that_breaks_off_are_settled(run: Run) -> None:
    """One that nobody awaits would be a warning, which fails the test."""
    settled = asyncio.Event()

    async def fail() -> None:
        settled.set()
        raise RuntimeError("Nobody needs it")

    def items() -> Iterator[Any]:
        yield fail()
        raise RuntimeError("It breaks off")

    data, errors = await of(run, items)
    # the compiled executor has waited for the item, and reports it too
    assert (data, errors[:1]) == failed("It breaks off")
    assert errors[1:] in ([], [("Nobody needs it", ["list", 0], [(1, 3)])])
    async with asyncio.timeout(5):
        await settled.wait()


async def test_awaitables_beside_a_null_that_may_not_be_are_settled(run: Run) -> None:
    settled = {"first": asyncio.Event(), "third": asyncio.Event()}

    async def fail(name: str) -> None:
        settled[name].set()
        raise RuntimeError(name)

    data, errors = await of(run, lambda: [fail("first"), None, fail("third")], "[String!]!")
    assert data is None
    assert errors[0] in [(NULL, ["list", 1], [(1, 3)]), ("first", ["list", 0], [(1, 3)])]
    async with asyncio.timeout(5):
        for event in settled.values():
            await event.wait()


async def test_item_that_does_not_fit(run: Run) -> None:
    async def items() -> AsyncIterator[Any]:
        yield "one"
        yield {}
        yield 3

    expected = failed("String cannot represent value: {}", 1, data=["one", None, "3"])
    assert await of(run, items) == expected
    assert await of(run, lambda: ["one", {}, 3]) == expected


async def test_async_iterable_is_closed_when_an_item_fails(run: Run) -> None:
    class Closing(AsyncIterable_):
        closed = 0

        async def __anext__(self) -> Any:
            item = await super().__anext__()
            if item == "bad":
                raise RuntimeError("It breaks off")
            return item

        async def aclose(self) -> None:
            Closing.closed += 1

    assert await of(run, lambda: Closing(["one", "bad"])) == failed("It breaks off")
    assert Closing.closed == 1


WAYS = [
    lambda items: items,
    eventually,
    lambda items: items and [eventually(item) for item in items],
    lambda items: eventually(items and [eventually(item) for item in items]),
    lambda items: items and AsyncIterable_(items),
]


@pytest.mark.parametrize("way", WAYS, ids=["at once", "awaited", "items awaited", "all awaited", "iterated"])
@pytest.mark.parametrize("type_", ["[Int]", "[Int]!", "[Int!]", "[Int!]!"])
async def test_nulls_in_lists(run: Run, type_: str, way: Callable[[Any], Any]) -> None:
    item_must, list_must = "Int!" in type_, type_.endswith("!")
    assert await of(run, lambda: way([1, 2]), type_) == ({"list": [1, 2]}, [])

    null: Expected = {"list": [1, None, 2]}, []
    if item_must:
        null = failed(NULL, 1)
        null = (None, null[1]) if list_must else null
    assert await of(run, lambda: way([1, None, 2]), type_) == null

    absent: Expected = (None, failed(NULL)[1]) if list_must else ({"list": None}, [])
    assert await of(run, lambda: way(None), type_) == absent

    error = failed("Bad", 1, data=None if item_must else [1, None, 2])
    if item_must and list_must:
        error = None, error[1]
    assert await of(run, lambda: way([1, RuntimeError("Bad"), 2]), type_) == error


@pytest.mark.parametrize("type_", ["[Int]", "[Int]!", "[Int!]", "[Int!]!"])
async def test_list_that_fails(run: Run, type_: str) -> None:
    expected = (None if type_.endswith("!") else {"list": None}), failed("Bad")[1]
    assert await of(run, lambda: eventually(RuntimeError("Bad")), type_) == expected
    assert await of(run, lambda: RuntimeError("Bad"), type_) == expected


@pytest.mark.parametrize("must", [False, True])
async def test_items_with_fields_of_their_own(run: Run, must: bool) -> None:
    """Fields of the items of an asynchronous iterable, which are awaited, and one of which fails."""

    async def index(source: int, _info: Any) -> Any:
        return RuntimeError("Bad") if source == 2 else source

    async def items(_source: Any, _info: Any) -> AsyncIterator[int]:
        for item in range(3):
            yield item

    thing: Any = GraphQLObjectType("Thing", {"index": GraphQLField(GraphQLNonNull(GraphQLString), resolve=index)})
    list_type: Any = GraphQLList(GraphQLNonNull(thing) if must else thing)
    schema = GraphQLSchema(GraphQLObjectType("Query", {"list": GraphQLField(list_type, resolve=items)}))
    data = None if must else [{"index": "0"}, {"index": "1"}, None]
    assert await run(schema, "{ list { index } }") == (
        {"list": data},
        [("Bad", ["list", 2, "index"], [(1, 10)])],
    )
