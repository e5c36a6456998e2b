"""Importing catalog items: all or nothing, or what is valid."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import text
from starlette.applications import Starlette

from api.stores.stores import Stores
from models import CatalogItem
from tests.support.factories.catalog import catalog_items, create_catalog_item
from tests.support.graphql import error_of, execute, gid, respond, sent
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

IMPORT = """
mutation ($input: ImportCatalogItemsInput!) {
  importCatalogItems(input: $input) {
    imported
    results { index item { id name price properties { tags } } errors { __typename code path } }
    errors { __typename code message path }
  }
}
"""
SHORT = """
mutation ($input: ImportCatalogItemsInput!) {
  importCatalogItems(input: $input) { imported results { index } errors { message } }
}
"""


def silk(number: int, **values: Any) -> dict[str, Any]:
    return {"name": f"Silk {number}", "type": "FABRIC", "price": number} | values


BAD = [
    silk(0),
    silk(1, name=" ", price=-1),
    silk(2),
    silk(3, properties={"tags": ["a", ""]}, assetUrl="example.com"),
]
ERRORS = [
    [],
    [["items", "1", "name"], ["items", "1", "price"]],
    [],
    [["items", "3", "properties", "tags", "1"], ["items", "3", "assetUrl"]],
]


async def do(client: httpx.AsyncClient, items: list[dict[str, Any]], mode: str | None = None) -> dict[str, Any]:
    """The payload of an import."""
    given = {"items": items} if mode is None else {"items": items, "mode": mode}
    payload: dict[str, Any] = (await execute(client, IMPORT, input=given))["importCatalogItems"]
    return payload


def wrong(paths: list[list[str]]) -> list[dict[str, Any]]:
    return [{"__typename": "InvalidInput", "code": "INVALID", "path": path} for path in paths]


async def names(stores: Stores) -> list[str]:
    """The names of all items, by their price."""
    return [item.name for item in await catalog_items(stores).find_all(sort=["price"], include_deleted=True)]


@pytest.mark.parametrize("role", ["brand", "admin"])
@pytest.mark.parametrize("mode", [None, "ATOMIC", "BEST_EFFORT"])
async def test_items_are_written_in_their_order(
    client: httpx.AsyncClient, stores: Stores, role: str, mode: str | None
) -> None:
    # given
    mine, user = await signed_in(client, stores, role)
    items = [silk(2, properties={"tags": ["a"]}), silk(0, category="TOP"), silk(1, properties=None)]

    # when
    payload = await do(mine, items, mode)

    # then
    assert (payload["imported"], payload["errors"]) == (3, [])
    assert [result["index"] for result in payload["results"]] == [0, 1, 2]
    assert [result["errors"] for result in payload["results"]] == [[], [], []]
    assert [result["item"]["name"] for result in payload["results"]] == ["Silk 2", "Silk 0", "Silk 1"]
    rows = {gid(row): row for row in await catalog_items(stores).find_all()}
    assert [rows[result["item"]["id"]].price for result in payload["results"]] == [2, 0, 1]
    assert [rows[result["item"]["id"]].properties for result in payload["results"]] == [{"tags": ["a"]}, {}, {}]
    assert {(row.created_by, row.updated_by, row.type, row.is_active) for row in rows.values()} == {
        (user.id, user.id, "fabric", True)
    }


async def test_the_newest_of_an_import_is_its_last(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, _ = await signed_in(client, stores, "brand")

    await do(mine, [silk(n) for n in range(10)])

    listed = (await execute(client, "{ catalogItems { nodes { name } } }"))["catalogItems"]["nodes"]
    assert [node["name"] for node in listed] == [f"Silk {n}" for n in reversed(range(10))]


@pytest.mark.parametrize("mode", [None, "ATOMIC"])
async def test_one_wrong_item_keeps_all_others_out(client: httpx.AsyncClient, stores: Stores, mode: str | None) -> None:
    # given
    mine, _ = await signed_in(client, stores, "brand")

    # when
    payload = await do(mine, BAD, mode)

    # then
    assert payload["imported"] == 0
    assert payload["errors"] == [
        {
            "__typename": "InvalidInput",
            "code": "INVALID",
            "message": "2 of 4 items are not what they should be: nothing was written.",
            "path": ["items"],
        }
    ]
    assert payload["results"] == [
        {"index": index, "item": None, "errors": wrong(paths)} for index, paths in enumerate(ERRORS)
    ]
    assert await names(stores) == []


async def test_best_effort_writes_what_is_valid(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, _ = await signed_in(client, stores, "brand")

    # when
    payload = await do(mine, BAD, "BEST_EFFORT")

    # then
    assert (payload["imported"], payload["errors"]) == (2, [])
    assert [result["item"] and result["item"]["name"] for result in payload["results"]] == [
        *("Silk 0", None),
        *("Silk 2", None),
    ]
    assert [result["errors"] for result in payload["results"]] == [wrong(paths) for paths in ERRORS]
    assert await names(stores) == ["Silk 0", "Silk 2"]


async def test_best_effort_with_nothing_valid_writes_nothing(
    app: Starlette, client: httpx.AsyncClient, stores: Stores
) -> None:
    mine, _ = await signed_in(client, stores, "brand")

    with sent(app) as costs:
        payload = await do(mine, [BAD[1], BAD[3]], "BEST_EFFORT")

    assert (payload["imported"], payload["errors"]) == (0, [])
    assert [len(result["errors"]) for result in payload["results"]] == [2, 2]
    assert [statement for statement in costs.sql if "INSERT" in statement] == []
    assert await names(stores) == []


@pytest.mark.parametrize("role", [None, "user", "premium"])
async def test_others_import_nothing(client: httpx.AsyncClient, stores: Stores, role: str | None) -> None:
    mine, answer = client, ("UNAUTHENTICATED", "Sign in first.")
    if role is not None:
        mine, _ = await signed_in(client, stores, role)
        answer = ("FORBIDDEN", "Your account may not do this.")

    for items in ([], [silk(0)], BAD, [silk(n) for n in range(501)]):
        assert await error_of(mine, IMPORT, input={"items": items, "mode": "BEST_EFFORT"}) == answer

    assert await names(stores) == []


@pytest.mark.parametrize("mode", ["ATOMIC", "BEST_EFFORT"])
async def test_500_items_are_taken_and_one_more_is_not(client: httpx.AsyncClient, stores: Stores, mode: str) -> None:
    # given
    mine, _ = await signed_in(client, stores, "brand")

    # when
    payload = await do(mine, [silk(n) for n in range(501)], mode)

    # then
    message = "An import takes at most 500 items; this one has 501."
    error = {"__typename": "InvalidInput", "code": "INVALID", "message": message, "path": ["items"]}
    assert payload == {"imported": 0, "results": [], "errors": [error]}
    assert await names(stores) == []

    # when
    payload = await do(mine, [silk(n) for n in range(500)], mode)

    # then
    assert (payload["imported"], payload["errors"]) == (500, [])
    assert [result["item"]["name"] for result in payload["results"]] == [f"Silk {n}" for n in range(500)]
    assert await names(stores) == [f"Silk {n}" for n in range(500)]


async def test_nothing_at_all_is_imported_too(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, _ = await signed_in(client, stores, "brand")

    assert await do(mine, []) == {"imported": 0, "results": [], "errors": []}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"items": None},
        {"items": [None]},
        {"items": [{"name": "Silk"}]},
        {"items": [silk(0), silk(1, type="SHOE")]},
        {"items": [silk(0)], "mode": None},
        {"items": [silk(0)], "mode": "SOME"},
        {"items": [silk(0, isPremium=None)]},
        {"items": [silk(0, id="mine")]},
    ],
)
async def test_what_the_schema_does_not_take(client: httpx.AsyncClient, stores: Stores, given: dict[str, Any]) -> None:
    mine, _ = await signed_in(client, stores, "brand")

    body = await respond(mine, IMPORT, input=given)

    assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_VARIABLES"]
    assert await names(stores) == []


async def test_200_items_cost_as_many_statements_as_2(
    app: Starlette, client: httpx.AsyncClient, stores: Stores
) -> None:
    # given
    mine, _ = await signed_in(client, stores, "brand")

    # when
    counts, inserts = [], []
    for items in (2, 200, 500):
        with sent(app) as costs:
            payload = await execute(mine, SHORT, input={"items": [silk(n) for n in range(items)]})
        assert payload["importCatalogItems"]["imported"] == items
        assert costs.mongo == 0
        counts.append(len([statement for statement in costs.sql if "account_sessions" not in statement]))
        inserts.append(len([statement for statement in costs.sql if statement.startswith("INSERT")]))

    # then: who acts, and one INSERT
    assert counts == [2, 2, 2]
    assert inserts == [1, 1, 1]


@pytest.fixture
async def refusing_storm(stores: Stores) -> AsyncIterator[None]:
    """A database that refuses an item called Storm, as it may for reasons that the API doesn't know."""
    async with stores.engine.begin() as connection:
        await connection.execute(
            text(
                "CREATE FUNCTION catalog.refuse_storm() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN IF NEW.name = 'Storm' THEN RAISE EXCEPTION 'no storm'; END IF; RETURN NEW; END $$"
            )
        )
        await connection.execute(
            text(
                "CREATE TRIGGER trg_refuse_storm BEFORE INSERT ON catalog.catalog_items "
                "FOR EACH ROW EXECUTE FUNCTION catalog.refuse_storm()"
            )
        )
    yield
    async with stores.engine.begin() as connection:
        await connection.execute(text("DROP FUNCTION catalog.refuse_storm() CASCADE"))


@pytest.mark.parametrize("mode", ["ATOMIC", "BEST_EFFORT"])
async def test_an_import_that_fails_in_the_store_writes_nothing(
    client: httpx.AsyncClient, stores: Stores, refusing_storm: None, mode: str
) -> None:
    # given
    mine, _ = await signed_in(client, stores, "brand")
    items = [*(silk(n) for n in range(100)), silk(100, name="Storm"), silk(101)]

    # when
    with structlog.testing.capture_logs() as logs:
        body = await respond(mine, IMPORT, input={"items": items, "mode": mode})

    # then: it is told to us, and to the client that it was our fault
    assert [error["extensions"]["code"] for error in body["errors"]] == ["INTERNAL"]
    assert "no storm" not in str(body)
    assert [entry["log_level"] for entry in logs if entry["event"] != "request"] == ["error"]
    assert await names(stores) == []


async def test_imports_at_once_do_not_mix(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    brands = [await signed_in(client, stores, "brand") for _ in range(4)]

    # when
    payloads = await asyncio.gather(
        *(do(brand, [silk(n, name=f"{user.id} {n}") for n in range(50)]) for brand, user in brands)
    )

    # then
    for (_, user), payload in zip(brands, payloads, strict=True):
        assert [result["item"]["name"] for result in payload["results"]] == [f"{user.id} {n}" for n in range(50)]
        assert await catalog_items(stores).count(CatalogItem.created_by == user.id) == 50


async def test_what_was_imported_is_seen_by_later_fields(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores, "brand")
    first = await create_catalog_item(stores, created_by=user.id, name="First")
    query = """
    mutation ($id: ID!, $items: [CreateCatalogItemInput!]!) {
      a: updateCatalogItem(input: {id: $id, price: 5}) { catalogItem { name } }
      b: importCatalogItems(input: {items: $items, mode: BEST_EFFORT}) { imported }
      c: deleteCatalogItem(input: {id: $id}) { catalogItem { name } }
    }
    """

    # when
    answer = await execute(mine, query, id=gid(first), items=[silk(0), silk(1, name="")])

    # then
    assert answer == {
        "a": {"catalogItem": {"name": "First"}},
        "b": {"imported": 1},
        "c": {"catalogItem": {"name": "First"}},
    }
    assert await catalog_items(stores).count() == 1
