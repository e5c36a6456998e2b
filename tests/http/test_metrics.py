"""`/metrics` through HTTP: what is counted of known requests, and who is not answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from graphql import parse
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from api.admission.document_cache import documents
from api.config.settings import Settings
from api.execution import Executor
from api.schema import schema
from models import CatalogItem
from tests.support.applications import running
from tests.support.factories.catalog import create_catalog_item
from tests.support.graphql import sent
from tests.support.signing_in import as_admin

pytestmark = pytest.mark.anyio

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
ITEMS = {"query": "{ catalogItems(first: 1) { nodes { name } } }"}
DESIGNS = {"query": "{ designs(first: 1) { nodes { name } } }"}


@pytest.fixture
async def measured(settings: Settings, clean_stores: None) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    """An application that answers `/metrics`, and a client of it."""
    async with running(settings, metrics=True, max_depth=3) as (app, client):
        yield app, client


async def lines(client: httpx.AsyncClient, *names: str) -> list[str]:
    """The lines of these metrics, comments left out."""
    response = await client.get("/metrics")
    assert response.status_code == 200
    starts = tuple(f"fashion_wallet_{name}{end}" for name in names for end in "{ ")
    return [line for line in response.text.splitlines() if line.startswith(starts)]


async def post(client: httpx.AsyncClient, body: Any, status: int = 200, **headers: str) -> None:
    response = await client.post("/graphql", json=body, headers=headers)
    assert response.status_code == status, response.text


async def test_requests_and_operations_are_counted_by_status(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    _, client = measured
    new_client = {"accept": "application/graphql-response+json"}

    await post(client, ITEMS)
    await post(client, [ITEMS, ITEMS])
    await post(client, {"query": "{ nothing }"}, 400, **new_client)
    await post(client, {"query": "{ catalogItems { nodes { name } } } "}, 401, authorization="Bearer of none")

    assert await lines(client, "requests_total", "operations_total", "requests_under_way") == [
        'fashion_wallet_requests_total{status="2xx"} 2.0',
        'fashion_wallet_requests_total{status="4xx"} 2.0',
        'fashion_wallet_requests_total{status="5xx"} 0.0',
        'fashion_wallet_operations_total{status="2xx"} 3.0',
        'fashion_wallet_operations_total{status="4xx"} 1.0',
        'fashion_wallet_operations_total{status="5xx"} 0.0',
        "fashion_wallet_requests_under_way 0.0",
    ]


async def test_errors_are_counted_by_code_and_limit(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    _, client = measured

    await post(client, {"query": "{ one two }"})
    await post(client, [{"query": "{ designs { nodes { owner { id } } } }"}, {"query": "{ three }"}])
    await post(client, ITEMS, 401, authorization="Bearer of none")

    assert sorted(await lines(client, "errors_total")) == [
        'fashion_wallet_errors_total{code="GRAPHQL_VALIDATION_FAILED",limit=""} 3.0',
        'fashion_wallet_errors_total{code="INVALID_ACCESS_TOKEN",limit=""} 1.0',
        'fashion_wallet_errors_total{code="TOO_COMPLEX",limit="MAX_DEPTH"} 1.0',
    ]


async def test_refusals_of_a_quota_are_counted(settings: Settings, clean_stores: None) -> None:
    async with running(settings, metrics=True, rate_limit_address="1/day") as (_, client):
        await post(client, {"query": "{ __typename }"})
        await post(client, {"query": "{ __typename }"}, 429)
        await post(client, {"query": "{ __typename }"}, 429)

        assert await lines(client, "errors_total") == ['fashion_wallet_errors_total{code="RATE_LIMITED",limit=""} 2.0']


async def test_statements_and_commands_are_those_of_the_log(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = measured
    await create_catalog_item(app.state.stores)
    names = ("sql_statements_total", "mongodb_commands_total")

    async with as_admin(client, app) as admin:
        before = await lines(client, *names)
        with sent(app) as counted:
            for body in (ITEMS, ITEMS, DESIGNS):
                await post(admin, body)

    assert before == ["fashion_wallet_sql_statements_total 0.0", "fashion_wallet_mongodb_commands_total 0.0"]
    assert counted.counts == (1, 2)
    assert await lines(client, *names) == [
        "fashion_wallet_sql_statements_total 2.0",
        "fashion_wallet_mongodb_commands_total 1.0",
    ]


@pytest.mark.executed_once
async def test_reads_that_go_together_are_counted(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = measured
    await create_catalog_item(app.state.stores)

    await post(client, ITEMS)
    alone = await lines(client, "reads_total", "reads_sent_total", "keys_saved_total", "reads_waited_seconds_total")
    alike = [{"query": ITEMS["query"] + " " * number} for number in range(20)]  # equal queries have one answer
    await asyncio.gather(*(post(client, each) for each in alike))
    (asked, sent, saved), (waited,) = [
        [float(line.split()[1]) for line in await lines(client, *names)]
        for names in (("reads_total", "reads_sent_total", "keys_saved_total"), ("reads_waited_seconds_total",))
    ]

    assert [line.split()[1] for line in alone] == ["1.0", "1.0", "0.0", "0.0"]
    assert asked == 21
    assert asked - sent > 10
    assert saved == asked - sent  # everybody asks for the same page
    assert waited > 0
    assert await lines(client, "queries_joined_total") == ["fashion_wallet_queries_joined_total 0.0"]


@pytest.mark.executed_once
async def test_equal_queries_that_go_together_are_counted(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = measured
    await create_catalog_item(app.state.stores)

    await asyncio.gather(*(post(client, ITEMS) for _ in range(20)))
    (reads,), (joined,) = [
        [float(line.split()[1]) for line in await lines(client, name)]
        for name in ("reads_total", "queries_joined_total")
    ]

    assert joined > 10
    assert reads == 20 - joined


@contextlib.asynccontextmanager
async def waiting(app: Starlette, client: httpx.AsyncClient) -> AsyncIterator[asyncio.Task[None]]:
    """A request's task, whose statement waits for a lock inside the block."""
    waits = f"SELECT count(*) FROM pg_locks WHERE relation = '{CatalogItem.__table__}'::regclass AND NOT granted"
    async with app.state.stores.engine.begin() as connection:
        await connection.exec_driver_sql(f"LOCK TABLE {CatalogItem.__table__}")
        request = asyncio.create_task(post(client, ITEMS))
        with anyio.fail_after(30):
            while (await connection.exec_driver_sql(waits)).scalar_one() == 0:
                pass
        yield request
    await asyncio.wait([request])


@pytest.mark.executed_once  # the second execution would take a connection after the first
async def test_what_is_under_way_shows(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = measured
    names = ("requests_under_way", "postgres_connections")

    async with waiting(app, client) as request:
        during = await lines(client, *names)

    request.result()
    assert during[:2] == [
        "fashion_wallet_requests_under_way 1.0",
        'fashion_wallet_postgres_connections{state="checked_out"} 2.0',
    ]
    assert await lines(client, *names) == [
        "fashion_wallet_requests_under_way 0.0",
        'fashion_wallet_postgres_connections{state="checked_out"} 0.0',
        'fashion_wallet_postgres_connections{state="idle"} 2.0',
    ]


async def test_a_store_that_is_cut_off_shows(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = measured
    postgres, _ = app.state.stores.breakers

    before = await lines(client, "store_cut_off")
    for _ in range(postgres.limits.failures):
        postgres.failed()

    assert before == [
        'fashion_wallet_store_cut_off{store="PostgreSQL"} 0.0',
        'fashion_wallet_store_cut_off{store="MongoDB"} 0.0',
    ]
    assert await lines(client, "store_cut_off") == [
        'fashion_wallet_store_cut_off{store="PostgreSQL"} 1.0',
        'fashion_wallet_store_cut_off{store="MongoDB"} 0.0',
    ]


async def test_documents_kept_show(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    _, client = measured
    documents.clear()

    await post(client, ITEMS)
    await post(client, ITEMS)

    assert documents.bytes > len(ITEMS["query"])
    assert await lines(client, "documents", "documents_bytes") == [
        "fashion_wallet_documents 1.0",
        f"fashion_wallet_documents_bytes {float(documents.bytes)}",
    ]


@pytest.mark.executed_by_core
async def test_a_fallback_shows(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    _, client = measured
    text = "query @experimental_disableErrorPropagation { __typename }"
    reason = "no error propagation"
    count = schema.executor.fallbacks[reason]

    # validation refuses what would fall back, so it goes to the executor, past what stands in for it in tests
    await post(client, {"query": text}, 400, accept="application/graphql-response+json")
    assert schema.executor.fallbacks[reason] == count
    result = await Executor.execute(schema.executor, parse(text))

    assert (result.data, result.errors) == ({"__typename": "Query"}, None)
    line = f'fashion_wallet_executor_fallbacks_total{{reason="{reason}"}} {float(count + 1)}'
    assert line in await lines(client, "executor_fallbacks_total")


async def test_answer_is_what_prometheus_reads(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    _, client = measured

    with_accept = {"accept": "application/openmetrics-text;version=none,text/plain;version=?;q=0.5,*/*;q=0.1"}
    response = await client.get("/metrics", headers=with_accept)
    head = await client.head("/metrics")

    assert (response.status_code, response.headers["content-type"]) == (200, PLAIN)
    assert response.headers["cache-control"] == "no-store"
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    own = {name: family.type for name, family in families.items() if name.startswith("fashion_wallet_")}
    counters = (
        *("requests", "operations", "errors", "executor_fallbacks", "sql_statements", "mongodb_commands"),
        *("reads", "reads_sent", "keys_saved", "reads_waited_seconds", "queries_joined"),
    )
    gauges = (
        *("requests_under_way", "sockets", "documents", "documents_bytes", "postgres_connections", "store_cut_off"),
        "search_behind_seconds",
    )
    assert own == {
        **{f"fashion_wallet_{name}": "counter" for name in counters},
        **{f"fashion_wallet_{name}": "gauge" for name in gauges},
    }
    assert all(family.documentation for family in families.values())
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", PLAIN)


async def test_other_methods_are_refused(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    _, client = measured

    response = await client.post("/metrics")

    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_asks_no_store(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = measured

    with sent(app) as counted:
        for _ in range(3):
            await lines(client, "requests_total")

    assert counted.counts == (0, 0)


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_is_off_unless_it_is_switched_on(settings: Settings, clean_stores: None, environment: str) -> None:
    given = settings.model_dump(exclude_unset=True) | {"environment": environment}

    assert not Settings(_env_file=None, **given).metrics
    async with running(settings) as (_, client):
        response = await client.get("/metrics")
    assert (response.status_code, response.text) == (404, "Not Found")
