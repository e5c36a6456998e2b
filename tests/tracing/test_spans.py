"""Spans of requests, batches and calls, as a receiver of OTLP gets them."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import structlog
from starlette.applications import Starlette

from api.admission.trusted import store
from api.admission.trusted.identifiers import identifier_of
from api.admission.trusted.store import Entry
from api.config.settings import Settings
from api.stores.stores import Stores
from tests.support.applications import listening, running
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_worn_design
from tests.support.graphql import execute, gid
from tests.support.live import CHANGES, followed
from tests.support.otlp import Receiver
from tests.support.signing_in import signed_in

# the second execution would have spans, too
pytestmark = [pytest.mark.anyio, pytest.mark.executed_once]

Traced = tuple[Starlette, httpx.AsyncClient]
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
LOOKS = """query Looks($name: String!) { designs(first: 3, filter: {name: {contains: $name}}) {
    nodes { name owner { firstName } layers { catalogItem { name } } } } }"""
ONE = "query One($id: ID!) { design(id: $id) { name owner { firstName } } }"


async def test_a_query_over_both_stores(traced: Traced, receiver: Receiver) -> None:
    app, client = traced
    await create_worn_design(app.state.stores)
    body = {"query": LOOKS, "variables": {"name": "Secret"}}

    with structlog.testing.capture_logs() as logs:
        response = await client.post("/graphql", json=body, headers={"traceparent": f"00-{TRACE}-{CALLER}-01"})
    await receiver.until(lambda: receiver.named("query"))

    assert "errors" not in response.json()
    (request,) = receiver.named("query")
    (line,) = [each for each in logs if each["event"] == "request"]
    assert (request.kind, request.parent, request.ids[0]) == ("SERVER", CALLER, TRACE)
    assert line["trace_id"] == TRACE
    assert response.headers["traceresponse"] == f"00-{TRACE}-{request.ids[1]}-01"
    assert (
        request.attributes.items()
        >= {
            "http.request.method": "POST",
            "http.route": "/graphql",
            "url.path": "/graphql",
            "url.scheme": "http",
            "http.response.status_code": 200,
            "graphql.operation.name": "Looks",
            "graphql.operation.type": "query",
            "fashion_wallet.request_id": response.headers["x-request-id"],
        }.items()
    )
    assert request.resource["service.name"] == "fashion-wallet"
    assert request.resource["process.pid"] > 0
    batches = {each.name: each for each in receiver.children(request)}
    assert set(batches) == {"load designs", "load user", "load catalog_item"}
    assert batches["load user"].attributes["fashion_wallet.fields"] == ["Design.owner"]
    assert batches["load user"].attributes["fashion_wallet.keys"] == 1
    calls = {each.name: each for batch in batches.values() for each in receiver.children(batch)}
    assert set(calls) == {"find designs", "SELECT shared.users", "SELECT catalog.catalog_items"}
    assert {each.kind for each in calls.values()} == {"CLIENT"}
    users, designs = calls["SELECT shared.users"], calls["find designs"]
    assert (
        users.attributes.items()
        >= {
            "db.system.name": "postgresql",
            "db.operation.name": "SELECT",
            "db.collection.name": "shared.users",
            "db.response.returned_rows": 1,
        }.items()
    )
    assert "$1" in users.attributes["db.query.text"]
    async with app.state.stores.engine.connect() as connection:
        database = (await connection.exec_driver_sql("SELECT current_database()")).scalar_one()
    assert users.attributes["db.namespace"] == database
    assert designs.attributes["db.namespace"] == app.state.stores.database.name
    assert designs.attributes["db.system.name"] == "mongodb"
    assert '"name":' in designs.attributes["db.query.text"]
    for each in receiver.received:
        assert each.ids[0] == TRACE
        assert "Secret" not in str(each.span)  # neither a variable nor a value
    for batch in batches.values():
        for call in receiver.children(batch):
            assert batch.span.start_time_unix_nano <= call.span.start_time_unix_nano
            assert call.span.end_time_unix_nano <= batch.span.end_time_unix_nano
        assert request.span.start_time_unix_nano <= batch.span.start_time_unix_nano
        assert batch.span.end_time_unix_nano <= request.span.end_time_unix_nano


async def test_requests_that_share_a_batch_are_linked(traced: Traced, receiver: Receiver) -> None:
    app, client = traced
    designs = [await create_worn_design(app.state.stores, f"Gown {number}") for number in range(8)]

    await asyncio.gather(*(execute(client, ONE, id=gid(design)) for design in designs))
    await receiver.until(lambda: len(receiver.named("query")) == len(designs))

    batches = receiver.named("load user")
    assert len({each.ids[0] for each in batches}) == len(designs)
    (shared,) = [each for each in receiver.named("SELECT shared.users") if each.links]
    (owner,) = [each for each in batches if each.ids[1] == shared.parent]
    assert shared.ids[0] == owner.ids[0]
    others = {each.ids for each in batches if owner.ids in each.links}
    assert shared.links == others
    assert shared.attributes["fashion_wallet.shared_by"] == len(others) + 1 == shared.attributes["fashion_wallet.keys"]
    assert owner.links == set()


async def test_equal_queries_are_linked_to_the_one_that_is_executed(traced: Traced, receiver: Receiver) -> None:
    app, client = traced
    design = await create_worn_design(app.state.stores)

    await asyncio.gather(*(execute(client, ONE, id=gid(design)) for _ in range(6)))
    await receiver.until(lambda: len(receiver.named("query")) == 6)

    requests = receiver.named("query")
    executed = [each for each in requests if receiver.children(each)]
    linked = [each for each in requests if each.links]
    assert linked
    assert len(linked) + len(executed) == len(requests)
    assert {link for each in linked for link in each.links} <= {each.ids for each in executed}


async def test_a_mutation(traced: Traced, receiver: Receiver) -> None:
    app, client = traced
    ada, _ = await signed_in(client, app.state.stores, "brand")

    await execute(ada, 'mutation { createDesign(input: {name: "Secret gown"}) { design { id } errors { code } } }')
    await receiver.until(lambda: receiver.named("mutation"))

    (request,) = receiver.named("mutation")
    assert request.attributes["graphql.operation.type"] == "mutation"
    assert "graphql.operation.name" not in request.attributes
    (insert,) = receiver.named("insert designs")
    assert (insert.parent, insert.ids[0]) == (request.ids[1], request.ids[0])
    assert insert.attributes["db.response.returned_rows"] == 1
    assert "Secret" not in "".join(str(each.span) for each in receiver.received)


async def test_an_event_of_a_subscription_is_linked_to_what_asked_for_it(traced: Traced, receiver: Receiver) -> None:
    app, _ = traced

    async with listening(app) as port, followed(port, CHANGES) as events:
        await create_catalog_item(app.state.stores, name="Secret hat")
        event = await events.next()
    await receiver.until(lambda: {each.kind for each in receiver.named("subscription")} == {"SERVER", "CONSUMER"})

    assert event["kind"] == "CREATED"
    (opening,) = [each for each in receiver.named("subscription") if each.kind == "SERVER"]
    executed = [each for each in receiver.named("subscription") if each.kind == "CONSUMER"]
    assert executed
    assert all(each.links == {opening.ids} and not each.parent for each in executed)
    assert all(each.attributes["graphql.operation.type"] == "subscription" for each in executed)


async def test_errors_say_whose_fault_they_are(traced: Traced, receiver: Receiver) -> None:
    _, client = traced

    await client.post("/graphql", json={"query": "query Wrong { nothing }"})
    await client.post("/graphql", content=b"{", headers={"content-type": "application/json"})
    await receiver.until(lambda: len(receiver.received) == 2)

    by_code = {each.attributes["error.type"]: each for each in receiver.received}
    assert set(by_code) == {"GRAPHQL_VALIDATION_FAILED", "BAD_REQUEST"}
    assert by_code["BAD_REQUEST"].attributes["http.response.status_code"] == 400
    assert by_code["BAD_REQUEST"].name == "POST /graphql"
    assert not any(each.is_failed for each in receiver.received)  # the clients' own


async def test_a_store_that_fails_fails_its_spans(
    traced: Traced, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, client = traced
    design = await create_worn_design(app.state.stores)
    async with app.state.stores.engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE shared.users RENAME COLUMN first_name TO secret_name")
    try:
        response = await client.post("/graphql", json={"query": ONE, "variables": {"id": gid(design)}})
    finally:
        async with app.state.stores.engine.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE shared.users RENAME COLUMN secret_name TO first_name")
    await receiver.until(lambda: receiver.named("query"))

    assert response.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
    (request,), (batch,) = receiver.named("query"), receiver.named("load user")
    statements = receiver.children(batch)
    assert request.is_failed
    assert batch.is_failed
    assert {each.attributes["error.type"] for each in statements} == {"UndefinedColumnError"}
    assert {each.attributes["db.response.status_code"] for each in statements} == {"42703"}
    assert request.attributes["fashion_wallet.error_codes"] == ["INTERNAL"]


async def test_batches_of_operations_have_one_span(traced: Traced, receiver: Receiver) -> None:
    app, client = traced
    design = await create_worn_design(app.state.stores)
    operations = [{"query": ONE, "variables": {"id": gid(design)}}, {"query": "{ __typename }"}]

    await client.post("/graphql", json=operations)
    await receiver.until(lambda: receiver.named("POST /graphql"))

    (request,) = receiver.named("POST /graphql")
    assert request.attributes["fashion_wallet.operations"] == 2
    assert {each.name for each in receiver.children(request)} == {"load design", "load user"}


async def test_names_that_are_registered_name_spans(settings: Settings, receiver: Receiver, stores: Stores) -> None:
    document = "query Mine { __typename }"
    async with stores.sessions.begin() as transaction:
        await store.add(transaction, [Entry(identifier_of(document), document, "")])
    async with running(settings, trusted_documents="enforce") as (_, client):
        for query in ("query Mine { __typename }", "query Anything { __typename }"):
            await client.post("/graphql", json={"query": query})

    requests = [each for each in receiver.received if each.kind == "SERVER"]
    assert [each.name for each in requests] == ["query Mine", "POST /graphql"]
