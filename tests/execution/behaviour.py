"""What the resolvers of the awkward schema do: what they return, or raise, and by which way it arrives.

Every field says in its arguments what it shall do, so that one schema has every behaviour at every place and a
generated operation meets any mixture of them. `Manner` decides whether what may be async is: the same operation means
the same over both schemas.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Final

from graphql import GraphQLArgument, GraphQLBoolean, GraphQLDefaultInput, GraphQLEnumType, GraphQLError, GraphQLList
from graphql.pyutils import Undefined


def named(*names: str) -> dict[str, str]:
    """The values of an enum that stand for their own names."""
    return {name: name for name in names}


HOW: Final = GraphQLEnumType(
    "How",
    named("VALUE", "NULL", "UNDEFINED", "RAISES", "RAISES_GRAPHQL_ERROR", "RETURNS_ERROR", "WRONG", "ODD", "NESTED"),
    description="What a field, or an item of a list, comes to.",
)
IN: Final = GraphQLEnumType(
    "In",
    named(
        "LIST",
        "TUPLE",
        "GENERATOR",
        "FAILING_GENERATOR",
        "ITERABLE",
        "ASYNC_GENERATOR",
        "FAILING_ASYNC_GENERATOR",
        "ASYNC_ITERABLE",
        "AWAITABLES",
        "MIXED",
        "DICT",
        "TEXT",
        "NUMBER",
    ),
    description="What a list arrives in; the last three are no lists to GraphQL.",
)

ARGUMENTS: Final = {
    "how": GraphQLArgument(HOW, default=GraphQLDefaultInput("VALUE")),
    "later": GraphQLArgument(GraphQLBoolean, default=GraphQLDefaultInput(False)),
}
LIST_ARGUMENTS: Final = ARGUMENTS | {
    "each": GraphQLArgument(GraphQLList(HOW), default=GraphQLDefaultInput(["VALUE", "VALUE"])),
    "in": GraphQLArgument(IN, default=GraphQLDefaultInput("LIST"), out_name="arriving_in"),
}


class Failure(Exception):
    """What failing resolvers raise."""


class Iterable_:
    """Something that is iterable and nothing more."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)


class AsyncIterable_:
    """Something that is async iterable, by an iterator that can't be closed."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = iter(list(items))

    def __aiter__(self) -> AsyncIterable_:
        return self

    async def __anext__(self) -> Any:
        await asyncio.sleep(0)
        for item in self._items:
            return item
        raise StopAsyncIteration


class Later:
    """An awaitable that nobody has to await, unlike a coroutine."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act

    def __await__(self) -> Generator[Any, None, Any]:
        return Manner.awaitable(self._act).__await__()


class Manner:
    """How values arrive: at once everywhere, or also as awaitables and from async iterables."""

    def __init__(self, asynchronous: bool) -> None:
        self.asynchronous = asynchronous

    def arrive(self, act: Callable[[], Any], later: bool | None) -> Any:
        """What `act` returns or raises, now or as an awaitable."""
        return self.awaitable(act) if later and self.asynchronous else act()

    @staticmethod
    async def awaitable(act: Callable[[], Any]) -> Any:
        """What `act` returns or raises, some turns of the event loop later."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return act()

    def list_in(self, arriving_in: str | None, acts: Sequence[Callable[[], Any]], rows: bool = False) -> Any:
        """A list of what these return; one that raises is an exception among the items, or in an awaitable.

        Rows may hold awaitables, and are dropped where another one fails: they and their items arrive by `Later`.
        """
        if arriving_in in ("AWAITABLES", "MIXED") and (rows or not self.asynchronous):
            return [Later(act) if self.asynchronous else held(act) for act in acts]
        match arriving_in:
            case "TUPLE":
                return tuple(map(held, acts))
            case "GENERATOR":
                return (held(act) for act in acts)
            case "FAILING_GENERATOR":
                return failing(acts)
            case "ITERABLE":
                return Iterable_(list(map(held, acts)))
            case "ASYNC_GENERATOR":
                return async_generator(acts) if self.asynchronous else (held(act) for act in acts)
            case "FAILING_ASYNC_GENERATOR":
                return async_failing(acts) if self.asynchronous else failing(acts)
            case "ASYNC_ITERABLE":
                items = list(map(held, acts))
                return AsyncIterable_(items) if self.asynchronous else Iterable_(items)
            case "AWAITABLES":
                return [self.awaitable(act) for act in acts]
            case "MIXED":
                return [held(act) if index % 2 else self.awaitable(act) for index, act in enumerate(acts)]
            case "DICT":
                return {"a": 1}
            case "TEXT":
                return "text"
            case "NUMBER":
                return 7
            case _:
                return list(map(held, acts))


def perform(how: str | None, value: Any, wrong: Any, odd: Any) -> Any:
    """A value by `How`: `wrong` is what the type can't serialise, `odd` what it just about can."""
    match how:
        case "VALUE":
            return value
        case "UNDEFINED":
            return Undefined
        case "RAISES":
            raise Failure("It fails")
        case "RAISES_GRAPHQL_ERROR":
            raise GraphQLError("It fails in GraphQL's terms", extensions={"code": "AWKWARD"})
        case "RETURNS_ERROR":
            return Failure("It is a failure")
        case "WRONG":
            return wrong
        case "ODD":
            return odd
        case "NESTED":
            return [value]
        case _:
            return None


def held(act: Callable[[], Any]) -> Any:
    """What this returns, or the exception that it raises as a value."""
    try:
        return act()
    except Exception as error:
        return error


def failing(acts: Sequence[Callable[[], Any]]) -> Iterator[Any]:
    yield from map(held, acts)
    raise Failure("No more")


async def async_generator(acts: Sequence[Callable[[], Any]]) -> AsyncIterator[Any]:
    for act in acts:
        await asyncio.sleep(0)
        yield held(act)


async def async_failing(acts: Sequence[Callable[[], Any]]) -> AsyncIterator[Any]:
    for act in acts:
        yield held(act)
    await asyncio.sleep(0)
    raise Failure("No more")
