"""Sizes and filters that no list takes: always a code that says what is wrong, or an empty page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.config.settings import Settings
from api.stores.stores import Stores
from tests.support.applications import running
from tests.support.graphql import LISTS, TYPES, error_of, execute, page_query, respond
from tests.support.requests.bad_input import NO_ID, encoded, fill, refused
from tests.support.signing_in import as_admin

pytestmark = pytest.mark.anyio

NO_PAGES = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}


async def is_empty(client: httpx.AsyncClient, name: str, **variables: Any) -> bool:
    page = (await execute(client, page_query(name), **variables))[name]
    return bool(page["edges"] == [] and page["totalCount"] == 0 and page["pageInfo"] == NO_PAGES)


@pytest.mark.parametrize("name", LISTS)
async def test_sizes(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    await fill(stores, name)

    assert await refused(client, name, first=-1) == "first must lie between 0 and 100."
    assert await refused(client, name, first=101) == "first must lie between 0 and 100."
    assert await refused(client, name, last=-1) == "last must lie between 0 and 100."
    assert await refused(client, name, last=101) == "last must lie between 0 and 100."
    assert await refused(client, name, first=2, last=2) == "Give either first or last, not both."
    assert await refused(client, name, first=0, last=0) == "Give either first or last, not both."
    assert len((await execute(client, page_query(name), first=100))[name]["edges"]) == 3
    for size in ({"first": 0}, {"last": 0}):
        page = (await execute(client, page_query(name), **size))[name]
        assert (page["edges"], page["totalCount"]) == ([], 3)


async def test_sizes_beyond_32_bits(client: httpx.AsyncClient) -> None:
    sizes: tuple[Any, ...] = (2**31, -(2**31) - 1, 2**63, 10**30, 1.5, "5", True, [1], {})
    for size in sizes:
        await refused(client, "users", first=size)
    assert (await error_of(client, "{ users(first: 99999999999999999999) { totalCount } }"))[
        0
    ] == "GRAPHQL_VALIDATION_FAILED"
    assert (await error_of(client, '{ users(first: "1") { totalCount } }'))[0] == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize("name", LISTS)
async def test_contradicting_filters_are_empty_pages(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    await fill(stores, name)
    text = "email" if name == "users" else "name"
    noon, evening = "2026-01-01T12:00:00Z", "2026-01-01T18:00:00Z"

    assert await is_empty(client, name, filter={"createdAt": {"gt": evening, "lt": noon}})
    assert await is_empty(client, name, filter={text: {"equals": "a", "startsWith": "b"}})
    assert await is_empty(client, name, filter={"and": [{text: {"equals": "a"}}, {text: {"equals": "b"}}]})
    assert await is_empty(client, name, filter={"and": [{text: {"contains": "e"}}, {"not": {text: {"contains": "e"}}}]})
    assert await is_empty(client, name, filter={"id": []})
    if name == "catalogItems":
        assert await is_empty(client, name, filter={"price": {"gt": 5, "lt": 5}})


async def test_pages_that_end_before_they_begin_are_empty(client: httpx.AsyncClient, stores: Stores) -> None:
    for name in LISTS:
        await fill(stores, name)
        edges = (await execute(client, page_query(name)))[name]["edges"]
        page = (await execute(client, page_query(name), after=edges[2]["cursor"], before=edges[0]["cursor"]))[name]
        assert (page["edges"], page["totalCount"]) == ([], 3)


def text_filters(name: str, text: str) -> list[dict[str, Any]]:
    """Every filter that takes a text, with this one."""
    conditions: list[dict[str, Any]] = [
        {"equals": text},
        {"in": ["x", text]},
        {"contains": text},
        {"startsWith": text},
    ]
    fields = {"users": ("email", "firstName", "lastName")}.get(name, ("name",))
    filters: list[dict[str, Any]] = [{field: condition} for field in fields for condition in conditions]
    if name in ("catalogItems", "designs"):
        filters += [{"tags": {"any": text}}, {"tags": {"all": ["x", text]}}]
    return filters


@pytest.mark.parametrize("name", LISTS)
async def test_long_texts_and_null_bytes(client: httpx.AsyncClient, name: str) -> None:
    too_long = "A text to filter by has at most 255 characters; this one has 10000."
    no_text = "A text can't contain a null character."

    for filter in text_filters(name, "ü" * 255):
        assert await is_empty(client, name, filter=filter)
    for filter in text_filters(name, "a" * 10_000):
        assert await refused(client, name, filter=filter) == too_long
    for filter in text_filters(name, "a\x00b"):
        assert await refused(client, name, filter=filter) == no_text
        assert await refused(client, name, filter={"not": {"or": [filter]}}) == no_text


async def test_null_bytes_written_in_the_document(client: httpx.AsyncClient) -> None:
    code, message = await error_of(client, '{ users(filter: {email: {equals: "a\\u0000b"}}) { totalCount } }')
    assert (code, message) == ("BAD_USER_INPUT", "A text can't contain a null character.")
    code, _ = await error_of(client, '{ users(filter: {email: {equals: "a\x00b"}}) { totalCount } }')
    assert code == "BAD_USER_INPUT"


@pytest.mark.parametrize("surrogate", ["\\uD800", "\\uDC00 ", "\\u{D800}"])
async def test_half_characters(client: httpx.AsyncClient, surrogate: str) -> None:
    query = '{ designs(filter: {name: {contains: "' + surrogate + '"}}) { totalCount } }'

    assert (await error_of(client, query))[0] == "GRAPHQL_PARSE_FAILED"


INJECTIONS = ("$ne", "$where", '{"$ne": null}', "$name", "$$ROOT", "' OR true --", "%", "_", "\\", ".*", "^", "(", "[")


@pytest.mark.parametrize("name", LISTS)
async def test_operators_are_plain_text(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    await fill(stores, name)

    for text in INJECTIONS:
        assert await is_empty(client, name, filter={"or": text_filters(name, text)}), text


async def test_objects_are_no_texts(client: httpx.AsyncClient) -> None:
    for value in ({"$ne": None}, {"$gt": ""}, 5, True, ["a"]):
        await refused(client, "designs", filter={"name": {"equals": value}})
        await refused(client, "designs", filter={"id": value})
        await refused(client, "designs", filter={"status": value})
    await refused(client, "designs", filter={"$where": "1"})
    await refused(client, "designs", filter=[])
    await refused(client, "designs", filter="x")


def nested(depth: int, how: str) -> dict[str, Any]:
    filter: dict[str, Any] = {"name": {"equals": "x"}}
    for _ in range(depth - 1):
        filter = {how: filter}
    return filter


@pytest.mark.parametrize("how", ["and", "or", "not"])
async def test_depth_of_filters(client: httpx.AsyncClient, how: str) -> None:
    for name in ("catalogItems", "designs"):
        assert await is_empty(client, name, filter=nested(7, how)) or how == "not"
        assert (await execute(client, page_query(name), filter=nested(8, how)))[name]["edges"] == []
        assert await refused(client, name, filter=nested(9, how)) == "A filter nests at most 8 levels."
        for depth in (100, 400):
            await refused(client, name, filter=nested(depth, how))


@pytest.fixture
async def generous(settings: Settings, clean_stores: None) -> AsyncIterator[httpx.AsyncClient]:
    """An admin's client that may ask for whatever it costs."""
    async with running(settings, max_cost=10**6) as (app, base), as_admin(base, app) as admin:
        yield admin


async def test_size_of_filters(generous: httpx.AsyncClient) -> None:
    client = generous
    condition = {"name": {"equals": "x"}}
    for name in ("catalogItems", "designs"):
        assert await is_empty(client, name, filter={"or": [condition] * 100})
        await refused(client, name, filter={"or": [condition] * 101})
        await refused(client, name, filter={"or": [{"and": [condition] * 51}, {"and": [condition] * 50}]})
        assert await is_empty(client, name, filter={"name": {"in": ["x"] * 100}})
        await refused(client, name, filter={"name": {"in": ["x"] * 101}})
        await refused(client, name, filter={"tags": {"any": ["x"] * 101}})
        await refused(client, name, filter={"tags": {"all": ["x"] * 101}})
        await refused(client, name, filter={"id": [encoded(f"{TYPES[name]}:{NO_ID}")] * 101})
    await refused(client, "catalogItems", filter={"type": ["FABRIC"] * 101})
    await refused(client, "designs", filter={"status": ["DRAFT"] * 101})


async def test_filters_of_empty_filters_are_bounded(client: httpx.AsyncClient) -> None:
    for name in ("catalogItems", "designs"):
        await execute(client, page_query(name), filter={"and": [{"or": [{}] * 98}] * 4})
        message = await refused(client, name, filter={"and": [{"or": [{}] * 99}] * 4})
        assert message == "A filter is made of at most 400 filters."
        await refused(client, name, filter={"and": [{"and": [{"or": [{"not": {}}] * 8}] * 8}] * 4})


BAD_TIMES: tuple[Any, ...] = (
    5,
    True,
    [],
    {},
    "",
    "nonsense",
    "2026",
    "2026-13-01T00:00:00Z",
    "2026-01-01T25:00:00Z",
    "0000-01-01T00:00:00Z",
    "\x00",
)
OUTSIDE = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "10000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z")


@pytest.mark.parametrize("name", LISTS)
async def test_times(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    await fill(stores, name)

    for time in (*BAD_TIMES, *OUTSIDE):
        await refused(client, name, filter={"createdAt": {"gt": time}})
    for naive in ("2026-01-31T12:00:00", "2026-01-31"):
        assert (
            await refused(client, name, filter={"updatedAt": {"lte": naive}})
            == "Variable '$filter' has invalid value at .updatedAt.lte: " + NO_ZONE
        )
    assert await is_empty(client, name, filter={"createdAt": {"lt": "0001-01-01T00:00:00Z"}})
    assert await is_empty(client, name, filter={"createdAt": {"gt": "9999-12-31T23:59:59.999999Z"}})


NO_TIME = "A DateTime is a text such as 2026-01-31T12:00:00Z."
NO_ZONE = "A DateTime needs its zone, as in 2026-01-31T12:00:00Z."


async def test_times_written_in_the_document(client: httpx.AsyncClient) -> None:
    """Each error has the place of its literal; where lists and objects stand for one, too."""
    for time, message in {
        '"nonsense"': NO_TIME,
        "5": NO_TIME,
        "true": NO_TIME,
        "{ a: 1 }": NO_TIME,
        '["2026-01-31T12:00:00Z"]': NO_TIME,
        '"2026-01-31T12:00:00"': NO_ZONE,
        '"2026-01-31"': NO_ZONE,
        '"9999-12-31T23:59:59-14:00"': "A DateTime lies between the years 1 and 9999.",
    }.items():
        query = f"{{ designs(filter: {{createdAt: {{gt: {time}}}}}) {{ totalCount }} }}"
        body = await respond(client, query)
        assert body == {
            "errors": [
                {
                    "message": message,
                    "locations": [{"line": 1, "column": query.index("gt: ") + 5}],
                    "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"},
                }
            ]
        }


async def test_times_in_variables(client: httpx.AsyncClient) -> None:
    for time, message in {"nonsense": NO_TIME, "2026-01-31T12:00:00": NO_ZONE}.items():
        said = await refused(client, "designs", filter={"or": [{"createdAt": {"gt": time}}]})
        assert said == f"Variable '$filter' has invalid value at .or[0].createdAt.gt: {message}"


async def test_prices_beyond_32_bits(client: httpx.AsyncClient, stores: Stores) -> None:
    await fill(stores, "catalogItems")

    for price in (2**31, -(2**31) - 1, 2**63, 10**30, 1.5, "5"):
        await refused(client, "catalogItems", filter={"price": {"lt": price}})
    assert await is_empty(client, "catalogItems", filter={"price": {"gt": 2**31 - 1}})
    assert await is_empty(client, "catalogItems", filter={"price": {"lt": -(2**31)}})
