"""`/metrics` through HTTP: what is counted of known requests, and who is not answered."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from graphql import parse
from prometheus_client import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from starlette.applications import Starlette

from api.admission.document_cache import documents
from api.admission.trusted import store as trusted_documents
from api.admission.trusted.identifiers import identifier_of
from api.config.settings import Settings
from api.execution import Executor
from api.metrics.exposition import Totals
from api.metrics.families import FAMILIES, REQUEST_SECONDS
from api.metrics.memory import Memory
from api.schema import schema
from api.stores.stores import Stores
from models import CatalogItem
from tests.support.applications import running
from tests.support.factories.catalog import create_catalog_item
from tests.support.graphql import sent
from tests.support.signing_in import as_admin
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
ITEMS = {"query": "{ catalogItems(first: 1) { nodes { name } } }"}
DESIGNS = {"query": "{ designs(first: 1) { nodes { name } } }"}


@pytest.fixture
async def measured(settings: Settings, clean_stores: None) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    """An application that answers `/metrics`, and a client of it."""
    async with running(settings, metrics=True, max_depth=3, report_cost=True) as (app, client):
        yield app, client


async def lines(client: httpx.AsyncClient, *names: str) -> list[str]:
    """The lines of these metrics, comments left out."""
    response = await client.get("/metrics")
    assert response.status_code == 200
    starts = tuple(f"fashion_wallet_{name}{end}" for name in names for end in "{ ")
    return [line for line in response.text.splitlines() if line.startswith(starts)]


async def samples(client: httpx.AsyncClient) -> list[Sample]:
    """Everything that is shown."""
    families = text_string_to_metric_families((await client.get("/metrics")).text)
    return [sample for family in families for sample in family.samples]


async def values(client: httpx.AsyncClient, name: str, **labels: str) -> list[float]:
    """The values of a metric that has these labels, among others."""
    return [
        sample.value
        for sample in await samples(client)
        if sample.name == f"fashion_wallet_{name}" and labels.items() <= sample.labels.items()
    ]


async def operations(client: httpx.AsyncClient) -> dict[str, float]:
    """The number of requests of each operation that is shown."""
    found = Counter[str]()
    for sample in await samples(client):
        if sample.name == "fashion_wallet_requests_total":
            found[sample.labels["operation"]] += int(sample.value)
    return dict(found)


def has_waiters(stores: Stores) -> bool:
    """Whether somebody waits for a connection of the pool."""
    pool: Any = stores.engine.pool
    return bool(pool._pool._waiting)


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
    await post(client, {"query": "query Named { __typename }"})

    assert await lines(client, "requests_total", "operations_total", "requests_under_way") == [
        'fashion_wallet_requests_total{operation="Named",status="2xx"} 1.0',
        'fashion_wallet_requests_total{operation="Named",status="4xx"} 0.0',
        'fashion_wallet_requests_total{operation="Named",status="5xx"} 0.0',
        'fashion_wallet_requests_total{operation="batch",status="2xx"} 1.0',
        'fashion_wallet_requests_total{operation="batch",status="4xx"} 0.0',
        'fashion_wallet_requests_total{operation="batch",status="5xx"} 0.0',
        'fashion_wallet_requests_total{operation="none",status="2xx"} 0.0',
        'fashion_wallet_requests_total{operation="none",status="4xx"} 1.0',
        'fashion_wallet_requests_total{operation="none",status="5xx"} 0.0',
        'fashion_wallet_requests_total{operation="unnamed",status="2xx"} 1.0',
        'fashion_wallet_requests_total{operation="unnamed",status="4xx"} 1.0',
        'fashion_wallet_requests_total{operation="unnamed",status="5xx"} 0.0',
        'fashion_wallet_operations_total{status="2xx"} 4.0',
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
        'fashion_wallet_errors_total{code="GRAPHQL_VALIDATION_FAILED",limit="",operation="batch"} 1.0',
        'fashion_wallet_errors_total{code="GRAPHQL_VALIDATION_FAILED",limit="",operation="unnamed"} 2.0',
        'fashion_wallet_errors_total{code="INVALID_ACCESS_TOKEN",limit="",operation="none"} 1.0',
        'fashion_wallet_errors_total{code="TOO_COMPLEX",limit="MAX_DEPTH",operation="batch"} 1.0',
    ]


async def test_refusals_of_a_quota_are_counted(settings: Settings, clean_stores: None) -> None:
    async with running(settings, metrics=True, rate_limit_address="1/day") as (_, client):
        await post(client, {"query": "{ __typename }"})
        await post(client, {"query": "{ __typename }"}, 429)
        await post(client, {"query": "{ __typename }"}, 429)

        assert await lines(client, "errors_total") == [
            'fashion_wallet_errors_total{code="RATE_LIMITED",limit="",operation="none"} 1.0',
            'fashion_wallet_errors_total{code="RATE_LIMITED",limit="",operation="unnamed"} 1.0',
        ]


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
        'fashion_wallet_store_cut_off{store="MongoDB"} 0.0',
        'fashion_wallet_store_cut_off{store="PostgreSQL"} 0.0',
    ]
    assert await lines(client, "store_cut_off") == [
        'fashion_wallet_store_cut_off{store="MongoDB"} 0.0',
        'fashion_wallet_store_cut_off{store="PostgreSQL"} 1.0',
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

    response = await client.get("/metrics", headers={"accept": "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"})
    head = await client.head("/metrics")

    assert (response.status_code, response.headers["content-type"]) == (200, PLAIN)
    assert response.headers["cache-control"] == "no-store"
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    own = {name: family.type for name, family in families.items() if name.startswith("fashion_wallet_")}
    assert own == {name: family.kind for name, family in FAMILIES.items() if name.startswith("fashion_wallet_")}
    assert all(family.documentation for family in families.values())
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", PLAIN)


@pytest.mark.parametrize("version", ["1.0.0", "none"])
async def test_answer_is_open_metrics_where_that_is_accepted(
    measured: tuple[Starlette, httpx.AsyncClient], version: str
) -> None:
    _, client = measured
    await post(client, ITEMS)

    accept = f"application/openmetrics-text;version={version};q=0.6,text/plain;version=0.0.4;q=0.5"
    response = await client.get("/metrics", headers={"accept": accept})

    assert (response.status_code, response.headers["content-type"]) == (200, OPEN)
    read: Any = openmetrics_families
    families = {family.name: family for family in read(response.text)}
    assert families["fashion_wallet_requests"].type == "counter"
    assert families["fashion_wallet_request_duration_seconds"].type == "histogram"
    assert response.text.endswith("# EOF\n")


def test_names_and_units_are_as_prometheus_wants_them() -> None:
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("promtool (of Debian's prometheus) is not installed: names of metrics can't be checked")
    memory = Memory(1)
    slot = memory.slot(0)
    slot.begin()
    for family in FAMILIES.values():
        slot.series(family, *(f"some {label}" for label in family.labels))

    text = generate_latest(Totals(memory))
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True)

    assert len(list(text_string_to_metric_families(text.decode()))) >= len(FAMILIES)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


async def test_operations_are_told_apart_by_name(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = measured
    body = {"query": "query Items { catalogItems(first: 3) { nodes { name } } }"}
    await create_catalog_item(app.state.stores)

    answers = [await client.post("/graphql", json=body) for _ in range(2)]
    failed = await client.post("/graphql", json={"query": "query Items { nothing }"})

    assert await values(client, "request_duration_seconds_count", operation="Items") == [3]
    assert await values(client, "request_bytes_total", operation="Items") == [
        sum(len(each.request.content) for each in (*answers, failed))
    ]
    assert await values(client, "response_bytes_total", operation="Items") == [
        sum(len(each.content) for each in (*answers, failed))
    ]
    # the one that was refused has cost nothing
    costs = [each.json()["extensions"]["cost"]["actual"] for each in answers]
    assert await values(client, "operation_cost_total", operation="Items") == [sum(costs)]
    assert sum(costs) > 0
    assert await values(client, "errors_total", operation="Items", code="GRAPHQL_VALIDATION_FAILED") == [1]


async def test_durations_are_in_their_buckets(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = measured

    async with waiting(app, client):
        pass

    (seconds,) = await values(client, "request_duration_seconds_sum", operation="unnamed")
    found = [sample for sample in await samples(client) if sample.name.endswith("request_duration_seconds_bucket")]
    buckets = {float(each.labels["le"]): each.value for each in found if each.labels["operation"] == "unnamed"}
    assert seconds > 0
    assert buckets == {bound: float(seconds <= bound) for bound in REQUEST_SECONDS.bounds}


async def test_names_that_clients_choose_are_bounded(settings: Settings, clean_stores: None) -> None:
    async with running(settings, metrics=True, metrics_operations=2) as (_, client):
        for name in ("One", "Two", "Three", "One", "Three"):
            await post(client, {"query": f"query {name} {{ __typename }}"})
        assert await operations(client) == {"One": 2, "Two": 1, "other": 2, "none": 0}


async def test_a_name_is_shown_once_its_operation_has_been_executed(settings: Settings, clean_stores: None) -> None:
    async with running(settings, metrics=True) as (_, client):
        await post(client, {"query": "query Wrong { nothing }"})
        await post(client, {"query": "query Right { __typename }"})
        await post(client, {"query": "query Right { nothing }"})

        assert await operations(client) == {"Right": 2, "other": 1, "none": 0}


async def test_names_of_registered_documents_come_on_top(settings: Settings, clean_stores: None) -> None:
    async with running(settings, metrics=True, metrics_operations=1) as (app, client):
        texts = [f"query {name} {{ __typename }}" for name in ("Mine", "Yours")]
        async with app.state.stores.sessions.begin() as transaction:
            await trusted_documents.add(
                transaction, [trusted_documents.Entry(identifier_of(text), text, "") for text in texts]
            )
        await post(client, {"query": "query Somebodys { __typename }"})
        await post(client, {"query": "query Elses { __typename }"})
        for text in texts:
            await post(client, {"documentId": identifier_of(text)})

        assert await operations(client) == {"Somebodys": 1, "other": 1, "Mine": 1, "Yours": 1, "none": 0}


async def test_waits_for_a_connection_are_counted(settings: Settings, clean_stores: None) -> None:
    async with running(settings, metrics=True, postgres_pool_size=1) as (app, client):
        async with app.state.stores.engine.connect():
            request = asyncio.create_task(post(client, ITEMS))
            while (await values(client, "requests_under_way")) != [1] or not has_waiters(app.state.stores):
                await pause()
            assert await values(client, "postgres_connection_wait_seconds_count") == [0]
            assert await values(client, "postgres_connections", state="checked_out") == [1]
            assert await values(client, "postgres_connections_limit") == [1]
        await request
        await post(client, ITEMS)  # doesn't have to wait

        assert await values(client, "postgres_connection_wait_seconds_count") == [1]
        (seconds,) = await values(client, "postgres_connection_wait_seconds_sum")
        assert seconds > 0


async def test_the_event_loop_is_looked_at(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    _, client = measured

    time.sleep(0.3)  # noqa: ASYNC251  nothing else runs, which is what is to be seen
    while not await values(client, "event_loop_lag_seconds_count") > [0]:
        await pause()

    assert (await values(client, "event_loop_lag_seconds_sum"))[0] >= 0.1


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
