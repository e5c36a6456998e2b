"""`X-Explain`: what an operation has asked of the stores, for those who may know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from api.config.settings import Settings
from tests.support.applications import listening, running
from tests.support.factories.designs import create_worn_design
from tests.support.graphql import gid, sent
from tests.support.requests.sockets import socket
from tests.support.signing_in import as_admin, signed_in

# a second execution would read, too
pytestmark = [pytest.mark.anyio, pytest.mark.executed_once]

App = tuple[Starlette, httpx.AsyncClient]
LOOKS = """query Looks($name: String!) { looks: designs(first: 3, filter: {name: {contains: $name}}) {
    nodes { name owner { firstName } layers { catalogItem { name } } } } }"""
ONE = "query One($id: ID!) { design(id: $id) { name owner { firstName } } }"


@pytest.fixture
async def app(settings: Settings, clean_stores: None) -> AsyncIterator[App]:
    """An application in which admins are told, and an anonymous client of it."""
    async with running(settings, explain="admins") as (app, client):
        yield app, client


async def explain(client: httpx.AsyncClient, query: str, asks: str = "1", **variables: Any) -> dict[str, Any]:
    """The body of the answer to an operation that is explained."""
    body = {"query": query, "variables": variables}
    response = await client.post("/graphql", json=body, headers={"x-explain": asks})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_an_operation_is_explained(app: App) -> None:
    admin = as_admin(app[1], app[0])
    await create_worn_design(app[0].state.stores)

    with sent(app[0]) as costs:
        answer = await explain(admin, LOOKS, name="Secret")

    told = answer["extensions"]["explain"]
    assert answer["data"]["looks"]["nodes"][0]["owner"] == {"firstName": "Secretia"}
    assert told["executor"] == "compiled"
    assert told["plan"] == [
        {"path": "", "type": "Query", "read": [], "loaded": [{"key": "looks", "loaders": ["designs"]}], "resolved": []},
        {"path": "looks", "type": "DesignConnection", "read": ["nodes"], "loaded": [], "resolved": []},
        {
            "path": "looks.nodes",
            "type": "Design",
            "read": ["name", "layers"],
            "loaded": [{"key": "owner", "loaders": ["user"]}],
            "resolved": [],
        },
        {"path": "looks.nodes.owner", "type": "User", "read": ["firstName"], "loaded": [], "resolved": []},
        {
            "path": "looks.nodes.layers",
            "type": "DesignLayer",
            "read": [],
            "loaded": [{"key": "catalogItem", "loaders": ["catalog_item"]}],
            "resolved": [],
        },
        {"path": "looks.nodes.layers.catalogItem", "type": "CatalogItem", "read": ["name"], "loaded": [],
         "resolved": []},
    ]  # fmt: skip
    batches = {batch["loader"]: batch for batch in told["batches"]}
    assert {name: (batch["fields"], batch["keys"]) for name, batch in batches.items()} == {
        "designs": (["Query.designs"], 1),
        "user": (["Design.owner"], 1),
        "catalog_item": (["DesignLayer.catalogItem"], 1),
    }
    assert "first_name" in batches["user"]["columns"]
    calls = {call["target"]: call for call in told["calls"]}
    assert len(told["calls"]) == len(costs.sql) + costs.mongo == 3
    assert {(call["store"], call["kind"], call["rows"], call["sharedWith"]) for call in told["calls"]} == {
        ("MongoDB", "find", 1, 0),
        ("PostgreSQL", "SELECT", 1, 0),
    }
    assert calls["shared.users"]["fields"] == ["Design.owner"]
    assert told["batches"][calls["shared.users"]["batch"]]["loader"] == "user"
    for call in told["calls"]:
        batch = told["batches"][call["batch"]]
        assert 0 <= batch["began"] <= call["began"]
        assert call["began"] + call["ms"] <= batch["began"] + batch["ms"] + 0.01 <= told["ms"] + 0.02
        assert "Secret" not in call["text"]
        assert "plan" not in call


async def test_plans_of_the_stores_are_told_without_values(app: App) -> None:
    admin = as_admin(app[1], app[0])
    await create_worn_design(app[0].state.stores)

    answer = await explain(admin, LOOKS, "plans", name="Secret")

    calls = {call["target"]: call for call in answer["extensions"]["explain"]["calls"]}
    plan = calls["shared.users"]["plan"]["Plan"]
    assert "Node Type" in plan
    assert "shared" in str(plan) or "users" in str(plan)
    assert calls["designs"]["plan"]  # stages, or why the engine tells none
    assert "Secret" not in str(answer["extensions"])
    # and nothing is left over on the connections
    again = await explain(admin, LOOKS, "plans", name="Secret")
    assert again["extensions"]["explain"]["calls"][1]["plan"]


async def test_planning_a_write_writes_nothing(app: App) -> None:
    stores = app[0].state.stores
    admin, _ = await signed_in(app[1], stores, "admin")
    make = """mutation Make { createCatalogItem(input: {type: FABRIC, name: "Secret silk"}) {
        catalogItem { id } errors { code message } } }"""

    answer = await explain(admin, make, "plans")

    assert "errors" not in answer, answer
    assert answer["data"]["createCatalogItem"]["errors"] == [], answer
    calls = answer["extensions"]["explain"]["calls"]
    (insert,) = [call for call in calls if (call["kind"], call["target"]) == ("INSERT", "catalog.catalog_items")]
    assert insert["plan"]["Plan"]["Node Type"] == "ModifyTable"
    assert insert["fields"] == ["Mutation.createCatalogItem"]
    async with stores.engine.connect() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM catalog.catalog_items")).scalar_one() == 1
    assert "Secret" not in str(calls)


@pytest.mark.parametrize(("role", "status", "code"), [(None, 401, "UNAUTHENTICATED"), ("brand", 403, "FORBIDDEN")])
async def test_others_are_refused_and_nothing_is_done(app: App, role: str | None, status: int, code: str) -> None:
    application, client = app
    if role is not None:
        client, _ = await signed_in(client, application.state.stores, role)
    make = 'mutation { createDesign(input: {name: "Hat"}) { design { id } errors { code } } }'

    response = await client.post("/graphql", json={"query": make}, headers={"x-explain": "1"})

    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (status, code)
    assert "data" not in response.json()
    assert "extensions" not in response.json()
    assert await application.state.stores.database["designs"].count_documents({}) == 0
    assert not application.state.stores.calls.observers


async def test_where_it_is_switched_off_admins_are_refused_too(settings: Settings, clean_stores: None) -> None:
    async with running(settings, explain="off") as (app, client):
        response = await as_admin(client, app).post(
            "/graphql", json={"query": "{ __typename }"}, headers={"x-explain": "1"}
        )

    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")


async def test_in_development_everybody_is_told(settings: Settings, clean_stores: None) -> None:
    assert settings.explain == "everyone"
    async with running(settings) as (_, client):
        answer = await explain(client, "{ __typename }")

    assert answer["extensions"]["explain"]["calls"] == []
    assert Settings.model_validate({**PRODUCTION}).explain == "admins"


PRODUCTION = {
    "environment": "production",
    "database_url": "postgresql://u:p@localhost/d",
    "mongodb_uri": "mongodb://localhost/d",
    "auth_secret": "a secret of the tests, with 32 bytes and more",
}


@pytest.mark.parametrize(("asks", "body"), [("yes", {"query": "{ __typename }"}), ("1", [{"query": "{ __typename }"}])])
async def test_what_can_not_be_explained_is_refused(app: App, asks: str, body: Any) -> None:
    admin = as_admin(app[1], app[0])

    response = await admin.post("/graphql", json=body, headers={"x-explain": asks})

    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")


async def test_subscriptions_are_not_explained(app: App) -> None:
    admin = as_admin(app[1], app[0])

    response = await admin.post(
        "/graphql",
        json={"query": "subscription { catalogItemsChanged { kind } }"},
        headers={"x-explain": "1", "accept": "text/event-stream"},
    )

    assert "BAD_REQUEST" in response.text


async def test_equal_queries_do_not_swallow_an_explanation(app: App) -> None:
    application, client = app
    admin, design = as_admin(client, application), await create_worn_design(application.state.stores)
    body = {"query": ONE, "variables": {"id": gid(design)}}

    async def plain() -> dict[str, Any]:
        answer: dict[str, Any] = (await admin.post("/graphql", json=body)).json()
        return answer

    answers = await asyncio.gather(
        *(plain() for _ in range(4)), *(explain(admin, ONE, id=gid(design)) for _ in range(2)), plain()
    )

    assert len({str(answer["data"]) for answer in answers}) == 1
    explained = [answer for answer in answers if "explain" in answer.get("extensions", {})]
    assert len(explained) == 2
    for answer in explained:
        told = answer["extensions"]["explain"]
        assert {batch["loader"] for batch in told["batches"]} == {"design", "user"}
        assert {call["target"] for call in told["calls"]} == {"designs", "shared.users"}
    assert not application.state.stores.calls.observers


async def test_what_was_shared_says_with_how_many_and_nothing_of_them(app: App) -> None:
    application, client = app
    admin, other = as_admin(client, application), as_admin(client, application)
    designs = [await create_worn_design(application.state.stores, f"Gown {number}") for number in range(8)]
    hush = "query Hush($id: ID!) { design(id: $id) { name owner { firstName } } }"
    for query in (ONE, hush):  # a new document takes longer
        await explain(admin, query, id=gid(designs[0]))

    *_, answer = await asyncio.gather(
        *(explain(other, hush, id=gid(design)) for design in designs[1:]), explain(admin, ONE, id=gid(designs[0]))
    )

    told = answer["extensions"]["explain"]
    assert len(told["calls"]) == 2
    shared = [call for call in told["calls"] if call["sharedWith"]]
    assert shared
    assert all(call["keys"] == call["sharedWith"] + 1 for call in shared)  # each asks for another object
    assert "Hush" not in str(answer)
    assert all(gid(design) not in str(told) and str(design.id) not in str(told) for design in designs)


async def test_a_replay_has_no_old_explanation(app: App) -> None:
    application, client = app
    admin, _ = await signed_in(client, application.state.stores, "admin")
    make = 'mutation { createDesign(input: {name: "Hat"}) { design { name } errors { code } } }'
    headers = {"idempotency-key": '"a-key-of-this-test"', "x-explain": "1"}

    first = await admin.post("/graphql", json={"query": make}, headers=headers)
    again = await admin.post("/graphql", json={"query": make}, headers=headers)

    assert again.headers["idempotency-replayed"] == "true"
    assert first.json()["data"] == again.json()["data"]
    inserted = [call["target"] for call in first.json()["extensions"]["explain"]["calls"] if call["kind"] == "insert"]
    assert "designs" in inserted
    assert all(call["target"] != "designs" for call in again.json()["extensions"]["explain"]["calls"])


@pytest.mark.executed_by_core
async def test_what_graphql_core_executes_is_explained_without_a_plan(app: App) -> None:
    admin = as_admin(app[1], app[0])
    design = await create_worn_design(app[0].state.stores)
    query = "query One($id: ID!) @experimental_disableErrorPropagation { design(id: $id) { name } }"

    answer = await explain(admin, query, id=gid(design))

    if "data" in answer:
        told = answer["extensions"]["explain"]
        assert (told["executor"], told["plan"]) == ("graphql-core", [])
        assert [call["target"] for call in told["calls"]] == ["designs"]


async def test_refused_operations_have_no_plan(app: App) -> None:
    admin = as_admin(app[1], app[0])

    answer = await explain(admin, "{ nothing }")

    assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    told = answer["extensions"]["explain"]
    assert (told["executor"], told["plan"], told["calls"]) == (None, [], [])


async def test_plans_are_made_by_the_rights_of_who_asks(settings: Settings, clean_stores: None) -> None:
    """Row-level security's policies are part of the plan, and the identity is in no text of it."""
    async with running(settings, row_level_security=True) as (app, client):
        member, account = await signed_in(client, app.state.stores, "user")
        await create_worn_design(app.state.stores)

        answer = await explain(member, LOOKS, "plans", name="Secret")

    calls = [call for call in answer["extensions"]["explain"]["calls"] if call["target"] == "shared.users"]
    plan = str(calls[-1]["plan"])
    assert "InitPlan 1" in plan  # the policy's question who is acting, which no statement of ours has
    assert str(account.id) not in str(answer["extensions"])
    assert "Secret" not in str(answer["extensions"])


async def test_what_resolvers_ask_for_names_their_field(app: App) -> None:
    admin = as_admin(app[1], app[0])

    with sent(app[0]) as costs:
        answer = await explain(admin, '{ search(query: "linen", first: 2) { nodes { __typename } } health { status } }')

    calls = answer["extensions"]["explain"]["calls"]
    assert len(calls) == len(costs.sql) + costs.mongo
    told = {(call["store"], field) for call in calls for field in call["fields"]}
    assert told >= {("PostgreSQL", "Query.search"), ("MongoDB", "Query.health")}


async def test_a_message_over_a_socket_asks_for_it_too(app: App) -> None:
    application, client = app
    admin, design = as_admin(client, application), await create_worn_design(application.state.stores)

    async with listening(application) as port, socket(port) as begun:
        await begun.begin(authorization=admin.headers["authorization"])
        await begun.subscribe("1", ONE, variables={"id": gid(design)}, extensions={"explain": True})
        explained, end = await begun.receive(), await begun.receive()
        await begun.subscribe("2", ONE, variables={"id": gid(design)}, extensions={"explain": "plans"})
        planned, _ = await begun.receive(), await begun.receive()
        await begun.subscribe("3", ONE, variables={"id": gid(design)}, extensions={"explain": False, "other": 1})
        plain, _ = await begun.receive(), await begun.receive()
    over_http = await explain(admin, ONE, id=gid(design))

    assert (explained["type"], end["type"]) == ("next", "complete")
    assert explained["payload"]["data"]["design"]["owner"] == {"firstName": "Secretia"}
    told, alike = explained["payload"]["extensions"]["explain"], over_http["extensions"]["explain"]
    assert told.keys() == alike.keys()
    assert (told["executor"], told["plan"]) == ("compiled", alike["plan"])
    for kind in ("batches", "calls"):
        own, other = ([{**each, "began": 0, "ms": 0} for each in both[kind]] for both in (told, alike))
        assert own == other
    assert not any("plan" in call for call in told["calls"])
    assert all("plan" in call for call in planned["payload"]["extensions"]["explain"]["calls"])
    assert plain["payload"] == {"data": explained["payload"]["data"]}
    assert not application.state.stores.calls.observers


@pytest.mark.parametrize(
    ("role", "asks", "query", "code"),
    [
        (None, True, ONE, "UNAUTHENTICATED"),
        ("user", True, ONE, "FORBIDDEN"),
        ("admin", "yes", ONE, "BAD_REQUEST"),
        ("admin", 1, ONE, "BAD_REQUEST"),
        ("admin", True, "subscription { catalogItemsChanged { kind } }", "BAD_REQUEST"),
    ],
)
async def test_a_message_is_refused_as_a_request_is(
    app: App, role: str | None, asks: Any, query: str, code: str
) -> None:
    application, client = app
    design = await create_worn_design(application.state.stores)
    payload = {}
    if role is not None:
        member, _ = await signed_in(client, application.state.stores, role)
        payload = {"authorization": member.headers["authorization"]}

    async with listening(application) as port, socket(port) as begun:
        await begun.begin(**payload)
        with sent(application) as costs:
            await begun.subscribe("1", query, variables={"id": gid(design)}, extensions={"explain": asks})
            refused = await begun.receive()
        await begun.subscribe("2", "{ __typename }")
        after = await begun.receive()  # the socket stays

    assert (refused["type"], refused["id"]) == ("error", "1")
    assert [error["extensions"]["code"] for error in refused["payload"]] == [code]
    assert costs.mongo == 0  # nothing was executed
    assert after["payload"] == {"data": {"__typename": "Query"}}
    assert not application.state.stores.calls.observers
