"""What is suggested while somebody types."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from api.stores.stores import Stores
from tests.search.following import copy_designs
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user
from tests.support.graphql import error_of, execute, sent

pytestmark = pytest.mark.anyio

SUGGEST = "query ($prefix: String!, $first: Int) { suggest(prefix: $prefix, first: $first) { text count } }"


async def suggestions(client: httpx.AsyncClient, prefix: str, first: int | None = None) -> list[tuple[str, int]]:
    found = (await execute(client, SUGGEST, prefix=prefix, first=first))["suggest"]
    return [(each["text"], each["count"]) for each in found]


async def shelf(stores: Stores) -> None:
    for name, color, material, tags in (
        ("Dressing gown", "dark blue", "silk", ["dress", "summer"]),
        ("Crêpe dress", "Dark blue", "silk", ["dress"]),
        ("Crepe", "dark blue", "crêpe", ["Tiger in ink"]),
        ("Silk", None, None, []),
        ("Silky", "Straßenblau", 5, "silk"),
    ):
        properties: dict[str, Any] = {"color": color, "material": material, "tags": tags}
        await create_catalog_item(stores, name=name, description="A dreamy thing", properties=properties)


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("sil", [("silk", 3), ("Silky", 1)]),
        ("SILKY", [("Silky", 1)]),
        ("d", [("dark blue", 3), ("dress", 2), ("Dressing gown", 1)]),
        ("dress", [("dress", 2), ("Dressing gown", 1)]),
        ("dressin", [("Dressing gown", 1)]),
        ("dressing g", [("Dressing gown", 1)]),
        (" dressing   g", [("Dressing gown", 1)]),
        ("crepe", [("Crepe", 1), ("Crêpe dress", 1)]),
        ("Crêpe d", [("Crêpe dress", 1)]),
        ("dark", [("dark blue", 3)]),
        ("strasse", [("Straßenblau", 1)]),
        ("tiger in", [("Tiger in ink", 1)]),
        ("tiger in i", [("Tiger in ink", 1)]),
        ("blue", []),
        ("dream", []),
        ("5", []),
        ("%", []),
        ("s_lk", []),
        ("sil\0", [("silk", 3), ("Silky", 1)]),
        ("'):*|(", []),
        ("👗", []),
    ],
)
async def test_what_is_completed(
    client: httpx.AsyncClient, stores: Stores, prefix: str, found: list[tuple[str, int]]
) -> None:
    await shelf(stores)
    # "crepe" is a name once and a material once, written in two ways
    expected = [("Crepe", 1), ("Crêpe dress", 1)] if prefix == "crepe" else found
    assert [each[0].lower() for each in await suggestions(client, prefix)] == [each[0].lower() for each in expected]
    assert [each[1] for each in await suggestions(client, prefix)] == [each[1] for each in expected]


async def test_of_designs(client: httpx.AsyncClient, stores: Stores) -> None:
    ada = (await create_user(stores)).id
    await create_design(
        stores,
        user_id=ada,
        name="Evening walk",
        status="published",
        metadata={"tags": ["evening"], "description": "eve"},
    )
    await create_design(stores, user_id=ada, name="Evenings", status="draft")
    await create_catalog_item(stores, name="Evening", properties={"tags": ["evening"]})
    await copy_designs(stores)

    assert await suggestions(client, "eve") == [("evening", 2), ("Evening walk", 1)]


async def test_as_many_as_are_asked_for(client: httpx.AsyncClient, stores: Stores) -> None:
    for number in range(12):
        await create_catalog_item(stores, name=f"Silk {number:02}", properties={})

    every = [(f"Silk {number:02}", 1) for number in range(12)]
    assert await suggestions(client, "silk") == every[:10]
    for first in (0, 1, 11, 12, 100):
        assert await suggestions(client, "silk", first) == every[:first]


async def test_one_statement(client: httpx.AsyncClient, app: Starlette, stores: Stores) -> None:
    await shelf(stores)
    with sent(app) as costs:
        await suggestions(client, "sil")
    assert (len(costs.sql), costs.mongo) == (1, 0)


@pytest.mark.parametrize(
    ("prefix", "first", "message"),
    [
        ("", None, "prefix must not be blank."),
        (" \n ", 5, "prefix must not be blank."),
        ("x" * 101, None, "prefix must have at most 100 characters."),
        ("x", -1, "first must lie between 0 and 100."),
        ("x", 101, "first must lie between 0 and 100."),
    ],
)
async def test_bad_input(client: httpx.AsyncClient, prefix: str, first: int | None, message: str) -> None:
    assert await error_of(client, SUGGEST, prefix=prefix, first=first) == ("BAD_USER_INPUT", message)
    assert await suggestions(client, "x" * 100) == []


async def test_texts_are_as_long_as_a_name(client: httpx.AsyncClient, stores: Stores) -> None:
    longest, longer = "silken " + "x" * 248, "silken " + "y" * 249
    await create_catalog_item(stores, properties={"material": longest, "color": longer})

    assert await suggestions(client, "silken") == [(longest, 1)]


async def test_a_word_that_is_no_word_may_be_the_beginning_of_one(client: httpx.AsyncClient, stores: Stores) -> None:
    await create_catalog_item(stores, name="Offbeat")

    assert await suggestions(client, "of") == [("Offbeat", 1)]
