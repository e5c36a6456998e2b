"""Queries that are equal and come together are executed once, and each is answered as if it had come alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
import structlog
from starlette.applications import Starlette

from api.config.settings import Settings
from api.stores.stores import Stores
from documents import Design
from tests.support.applications import running
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.factories.users import create_user
from tests.support.graphql import execute, gid, respond, sent
from tests.support.requests.rate_limits import left, post
from tests.support.signing_in import client_of, signed_in

# a second execution would be one more that asks
pytestmark = [pytest.mark.anyio, pytest.mark.executed_once]

MANY = 30
ONE = """query one($id: ID!) { design(id: $id) {
    name version status layers { layerId catalogItem { name } } owner { firstName } } }"""
ITEMS = "query ($first: Int) { catalogItems(first: $first) { nodes { name } } }"


async def a_design(stores: Stores, status: str = "published", **values: Any) -> Design:
    owner = await create_user(stores, **values)
    item = await create_catalog_item(stores)
    return await create_design(stores, user_id=owner.id, layers=[layer_of(item.id)], status=status)


def joined(app: Starlette) -> int:
    """Queries that were given what an equal one was."""
    answers = app.state.stores.answers
    assert answers is not None
    assert answers._kinds == {}
    return int(answers.sharing.keys_saved)


async def test_equal_queries_are_executed_a_few_times(
    client: httpx.AsyncClient, app: Starlette, stores: Stores
) -> None:
    design = await a_design(stores)
    alone = await execute(client, ONE, id=gid(design))
    before = joined(app)

    with sent(app) as counted:
        together = await asyncio.gather(*(execute(client, ONE, id=gid(design)) for _ in range(MANY)))

    assert together == [alone] * MANY
    commands, statements = counted.counts
    executed = MANY - (joined(app) - before)
    assert executed <= MANY / 3
    assert commands <= executed
    assert statements <= 2 * executed


@pytest.mark.parametrize(
    ("queries", "variables"),
    [
        ([ITEMS], [{"first": 1}, {"first": 2}, {}]),
        ([ITEMS], [{"first": 1}, {"first": True}, {"first": 1.0}, {"first": "1"}]),
        ([ITEMS, ITEMS.replace("name", "id")], [{"first": 1}]),
        (["query a { one: __typename } query b { two: __typename }"], [{}]),
    ],
    ids=["variables", "variables that Python holds for equal", "documents", "operations"],
)
async def test_queries_that_differ_are_answered_as_alone(
    client: httpx.AsyncClient, stores: Stores, queries: Sequence[str], variables: Sequence[dict[str, Any]]
) -> None:
    for _ in range(3):
        await create_catalog_item(stores)
    names = ["a", "b"] if "query b" in queries[0] else [None]
    asked = [
        {"query": query, "variables": each, "operationName": name}
        for query in queries
        for each in variables
        for name in names
    ]
    alone = [(await post(client, each)).json() for each in asked]
    assert len({str(answer) for answer in alone}) > 1

    together = await asyncio.gather(*(post(client, each) for each in asked * 5))

    assert [answer.json() for answer in together] == alone * 5


async def test_viewers_share_nothing(client: httpx.AsyncClient, app: Starlette, stores: Stores) -> None:
    owner = await create_user(stores)
    draft = await create_design(stores, user_id=owner.id, status="draft", name="A secret")
    theirs, (other, _) = await client_of(client, stores, owner), await signed_in(client, stores)
    again = await client_of(client, stores, owner)  # the same account in another session
    clients = [theirs, client, other, again]
    before = joined(app)

    answers = await asyncio.gather(
        *(execute(each, "query ($id: ID!) { design(id: $id) { name } }", id=gid(draft)) for each in clients)
    )

    assert [answer["design"] for answer in answers] == [{"name": "A secret"}, None, None, {"name": "A secret"}]
    assert joined(app) == before


async def test_each_is_told_of_errors_with_its_own_id(client: httpx.AsyncClient, app: Starlette) -> None:
    before, partly = joined(app), "query partly { catalogItems { nodes { id } } users { nodes { id } } }"

    with structlog.testing.capture_logs() as logs:
        answers = await asyncio.gather(*(respond(client, partly) for _ in range(MANY)))

    assert joined(app) > before
    assert {error["extensions"]["code"] for answer in answers for error in answer["errors"]} == {"UNAUTHENTICATED"}
    lines = [line for line in logs if line["event"] == "request"]
    assert [(line["operation"], line["status"], line["errors"]) for line in lines] == [("partly", 200, 1)] * MANY
    assert sum("joined" in line for line in lines) > MANY / 2
    assert len({line["request_id"] for line in lines}) == MANY


async def test_mutations_run_each(client: httpx.AsyncClient, stores: Stores) -> None:
    brand, _ = await signed_in(client, stores, "brand")
    create = """mutation { createCatalogItem(input: {name: "Silk", type: FABRIC, price: 1}) {
        catalogItem { id } errors { message } } }"""

    made = await asyncio.gather(*(execute(brand, create) for _ in range(8)))

    assert [each["createCatalogItem"]["errors"] for each in made] == [[]] * 8
    assert len({each["createCatalogItem"]["catalogItem"]["id"] for each in made}) == 8


async def test_each_is_charged(settings: Settings, clean_stores: None) -> None:
    async with running(settings, rate_limit_address="100000/day") as (app, client):
        await create_catalog_item(app.state.stores)
        body = {"query": ITEMS, "variables": {"first": 10}}
        full = left(await post(client, body))
        price = full - left(await post(client, body))
        assert price > 0

        await asyncio.gather(*(post(client, body) for _ in range(MANY)))

        assert joined(app) > 0
        assert left(await post(client, body)) == full - (MANY + 2) * price


async def test_answers_that_are_too_large_are_refused_to_each(settings: Settings, clean_stores: None) -> None:
    async with running(settings, max_response_size=2000) as (app, client):
        for number in range(10):
            await create_catalog_item(app.state.stores, name=f"{number}" * 255)

        answers = await asyncio.gather(*(respond(client, ITEMS, first=10) for _ in range(MANY)))

        assert joined(app) > 0
        assert [answer["errors"][0]["extensions"]["code"] for answer in answers] == ["TOO_COMPLEX"] * MANY
        assert [answer.get("data") for answer in answers] == [None] * MANY


async def test_answers_say_what_each_has_cost(settings: Settings, clean_stores: None) -> None:
    async with running(settings, report_cost=True) as (app, client):
        await create_catalog_item(app.state.stores)
        alone = (await respond(client, ITEMS, first=10))["extensions"]
        assert alone["statements"] == {"sql": 1, "mongodb": 0, "joined": 0}

        together = await asyncio.gather(*(respond(client, ITEMS, first=10) for _ in range(MANY)))

        assert [answer["extensions"]["cost"] for answer in together] == [alone["cost"]] * MANY
        said = [answer["extensions"]["statements"] for answer in together]
        assert [each["sql"] + each["joined"] for each in said] == [1] * MANY
        assert sum(each["joined"] for each in said) > MANY / 2


async def test_who_leaves_takes_the_answer_from_nobody(client: httpx.AsyncClient, stores: Stores) -> None:
    design = await a_design(stores)
    alone = await execute(client, ONE, id=gid(design))

    for turns in range(0, 40, 2):
        asking = [asyncio.create_task(execute(client, ONE, id=gid(design))) for _ in range(8)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in asking[::2]:  # the first ones among them, who execute for the others
            task.cancel()
        assert await asyncio.gather(*asking[1::2]) == [alone] * 4
        await asyncio.gather(*asking, return_exceptions=True)


async def test_a_setting_turns_it_off(settings: Settings, clean_stores: None) -> None:
    async with running(settings, coalescing=False) as (app, client):
        await create_catalog_item(app.state.stores)

        with sent(app) as counted:
            await asyncio.gather(*(execute(client, ITEMS, first=10) for _ in range(MANY)))

        assert len(counted.sql) == MANY
        assert app.state.stores.answers is None
