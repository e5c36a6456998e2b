"""The work of a text grows no faster than the text: nothing is normalised or matched before it is bounded.

The texts are the worst that normalisation and patterns know; the arguments are the schema's and the settings those that
there are, so a new one is tried too.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

import httpx
import orjson
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    get_nullable_type,
)
from pydantic import ValidationError
from starlette.applications import Starlette

from api.config.settings import Settings
from tests.support.applications import running
from tests.support.requests.selections import object_type, selection, type_of
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

WORST: Final[Mapping[str, str]] = {
    "marks": "\u0301\u0316",
    "jamo": "\u1100\u1161\u11a8",
    "backslashes": "\\",
    "blanks": " \t",
    "dots": "a@a.",
    "digits": "9",
}
SMALL, LARGE = 50_000, 200_000
"""Bytes. What is quadratic takes 16 times as long for the larger one, and seconds."""
ALLOWED: Final = 10.0
UNNOTICED: Final = 0.03
"""Seconds of CPU that nobody waits for."""
TEXTS: Final = ("String", "ID", "DateTime")


def smallest(of: Any) -> Any:
    """A value of this type that GraphQL takes."""
    if not isinstance(of, GraphQLNonNull):
        return None
    kind = of.of_type
    if isinstance(kind, GraphQLList):
        return [smallest(kind.of_type)]
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        needed = {
            name: smallest(field.type) for name, field in kind.fields.items() if isinstance(field.type, GraphQLNonNull)
        }
        if kind.is_one_of:
            name, field = next(iter(kind.fields.items()))
            return {name: smallest(GraphQLNonNull(field.type))}
        return needed
    return {"Int": 1, "Float": 1.0, "Boolean": True, "DateTime": "2026-01-01T00:00:00Z"}.get(kind.name, "x")


Place = tuple[str, ...]


def with_text(of: Any, depth: int = 0) -> Iterator[tuple[Place, Any]]:
    """Values of this type with `TEXT` in one place each, and the place."""
    kind = get_nullable_type(of)
    if isinstance(kind, GraphQLScalarType):
        if kind.name in TEXTS:
            yield (), TEXT
    elif isinstance(kind, GraphQLList):
        yield from ((place, [value]) for place, value in with_text(kind.of_type, depth))
    elif isinstance(kind, GraphQLInputObjectType) and depth < 4:
        rest = {} if kind.is_one_of else smallest(GraphQLNonNull(kind))
        for name, field in kind.fields.items():
            if name in ("and", "or", "not"):
                continue
            for place, value in with_text(field.type, depth + 1):
                yield (name, *place), rest | {name: value}


TEXT: Final = object()


def filled(value: Any, text: str) -> Any:
    if value is TEXT:
        return text
    if isinstance(value, list):
        return [filled(item, text) for item in value]
    if isinstance(value, dict):
        return {name: filled(item, text) for name, item in value.items()}
    return value


def requests() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """A document for each text argument of the root's fields, with where it is and its variables."""
    for root in ("Query", "Mutation"):
        for name, field in object_type(root).fields.items():
            for argument, definition in field.args.items():
                for place, value in with_text(definition.type):
                    declared = ", ".join(
                        f"${other}: {needed.type}"
                        for other, needed in field.args.items()
                        if needed is definition or isinstance(needed.type, GraphQLNonNull)
                    )
                    given = ", ".join(
                        f"{other}: ${other}"
                        for other, needed in field.args.items()
                        if needed is definition or isinstance(needed.type, GraphQLNonNull)
                    )
                    others = {
                        other: smallest(needed.type)
                        for other, needed in field.args.items()
                        if isinstance(needed.type, GraphQLNonNull)
                    }
                    of = type_of(field)
                    what = "{ __typename }" if selection(of) else ""
                    document = f"{root.lower()} ({declared}) {{ {name}({given}) {what} }}"
                    yield ".".join((name, argument, *place)), document, others | {argument: value}


def sized(unit: str, size: int) -> str:
    """A text of so many bytes."""
    return unit * (size // len(unit.encode()))


async def slower(
    ask: Callable[[str], Awaitable[None]], unit: str, small: int, large: int
) -> tuple[float, float] | None:
    """The CPU seconds for a small text and for a large one, where they are out of proportion."""

    async def seconds(size: int) -> float:
        text = sized(unit, size)
        gc.disable()  # what it takes grows with all that the process holds
        try:
            started = time.process_time()
            await ask(text)
            return time.process_time() - started
        finally:
            gc.enable()

    longest = await seconds(large)
    if longest < UNNOTICED:
        return None
    least = min([await seconds(small) for _ in range(2)])
    longest = min(longest, await seconds(large))
    return (least, longest) if longest > max(UNNOTICED, ALLOWED * least) else None


@pytest.mark.executed_once  # it is the time of one execution that is measured
async def test_every_argument(app: Starlette, client: httpx.AsyncClient) -> None:
    admin, _ = await signed_in(client, app.state.stores, role="admin")
    asked = list(requests())
    assert len(asked) > 80

    slow = []
    for place, document, variables in asked:

        async def send(text: str, document: str = document, variables: Any = variables) -> None:
            content = orjson.dumps({"query": document, "variables": filled(variables, text)})
            answer = await admin.post("/graphql", content=content, headers={"content-type": "application/json"})
            assert answer.status_code in (200, 401), answer.text[:300]

        for label, unit in WORST.items():
            if (found := await slower(send, unit, SMALL, LARGE)) is not None:
                slow.append((place, label, *found))

    assert slow == []


HEADERS: Final = (
    *(
        "accept",
        "accept-encoding",
        "access-control-request-headers",
        "authorization",
        "content-type",
        "content-encoding",
    ),
    *("cookie", "host", "idempotency-key", "origin", "traceparent", "x-forwarded-for", "x-forwarded-proto"),
    *("x-request-id", "range", "if-none-match"),
)


@pytest.mark.parametrize("unit", [",", "a;q=0.1,", "[", "a.", "127.0.0.1,", "%"])
async def test_every_header(settings: Settings, clean_stores: None, unit: str) -> None:
    async with running(settings, trusted_proxies="127.0.0.1", cors_origins="https://a.test") as (_, client):
        slow = []
        for header in HEADERS:
            for path in ("/graphql", "/health"):

                async def send(text: str, header: str = header, path: str = path) -> None:
                    ask = {"origin": "https://a.test", "content-type": "application/json", header: text}
                    await client.post(path, content=b'{"query": "{ __typename }"}', headers=ask)
                    await client.get(path, headers=ask)
                    await client.options(path, headers={"access-control-request-method": "POST"} | ask)

                if (found := await slower(send, unit, 15_000, 60_000)) is not None:
                    slow.append((header, path, *found))

    assert slow == []


@pytest.mark.parametrize("unit", ["\u0301\u0316", "a,", "1/", "127.0.0.1,", "https://a.test,"])
async def test_every_setting(unit: str) -> None:
    slow = []
    for name in Settings.model_fields:

        async def read(text: str, name: str = name) -> None:
            with contextlib.suppress(ValidationError):
                Settings.model_validate({name: text})

        if (found := await slower(read, unit, SMALL, LARGE)) is not None:
            slow.append((name, *found))

    assert slow == []
