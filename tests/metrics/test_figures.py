"""What `/metrics` says of stores, caches and subscriptions after known requests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from api.config.settings import Settings
from tests.support.applications import listening, running
from tests.support.factories.catalog import create_catalog_item
from tests.support.live import CHANGES, followed
from tests.support.signing_in import signed_in
from tests.support.waiting import pause

# a second execution would be counted, too
pytestmark = [pytest.mark.anyio, pytest.mark.executed_once]

BOTH = "query Both { designs(first: 1) { nodes { name } } catalogItems(first: 1) { nodes { name } } }"


@pytest.fixture
async def measured(settings: Settings, clean_stores: None) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    """An application that answers `/metrics`, and a client of it."""
    async with running(settings, metrics=True, coalescing=False) as (app, client):
        yield app, client


class Figures:
    """What is shown at a moment."""

    def __init__(self, text: str) -> None:
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def of(self, name: str, **labels: str) -> float:
        """The sum of a metric's values with these labels, among others."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == f"fashion_wallet_{name}" and labels.items() <= sample.labels.items()
        )


async def figures(client: httpx.AsyncClient) -> Figures:
    return Figures((await client.get("/metrics")).text)


async def test_statements_and_commands_are_timed_by_kind(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = measured
    await client.post("/graphql", json={"query": BOTH})
    before = await figures(client)

    await client.post("/graphql", json={"query": BOTH})
    async with app.state.stores.engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE catalog.catalog_items RENAME TO elsewhere")
    try:
        await client.post("/graphql", json={"query": BOTH})
    finally:
        async with app.state.stores.engine.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE catalog.elsewhere RENAME TO catalog_items")
    after = await figures(client)

    def grown(name: str, **labels: str) -> float:
        return after.of(name, **labels) - before.of(name, **labels)

    assert grown("store_call_duration_seconds_count", store="MongoDB", kind="find") == 2
    failed = grown("store_call_errors_total", store="PostgreSQL", kind="SELECT")
    assert failed >= 1
    assert grown("store_call_duration_seconds_count", store="PostgreSQL", kind="SELECT") == 1 + failed
    assert grown("store_call_duration_seconds_count", store="PostgreSQL", kind="ALTER") == 2
    assert grown("store_call_duration_seconds_sum", store="MongoDB", kind="find") > 0
    assert grown("store_call_errors_total", store="MongoDB") == 0


async def test_caches_say_what_they_had(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = measured
    type_of = "{ ofCaches: __typename }"  # which no other test asks
    member, account = await signed_in(client, app.state.stores, "user")
    app.state.auth.sessions.forget_user(account.id)
    before = await figures(client)

    for query in (type_of, type_of, "query OtherOfCaches { __typename }"):
        await client.post("/graphql", json={"query": query})
    anonymous = await figures(client)
    await member.post("/graphql", json={"query": type_of})
    app.state.auth.sessions.forget_user(account.id)
    await member.post("/graphql", json={"query": type_of})
    after = await figures(client)

    def grown(of: Figures, since: Figures, cache: str) -> tuple[float, float]:
        names = "cache_hits_total", "cache_misses_total"
        hits, misses = (of.of(name, cache=cache) - since.of(name, cache=cache) for name in names)
        return hits, misses

    assert grown(anonymous, before, "documents") == (1, 2)
    assert anonymous.of("documents_parsed_total") - before.of("documents_parsed_total") == 2
    assert grown(anonymous, before, "sessions") == (0, 0)
    assert grown(after, anonymous, "documents") == (2, 0)
    hits, misses = grown(after, anonymous, "sessions")
    assert (hits + misses, misses) == (2, 2)
    for _ in range(2):  # the first one may come when the session is a second old
        await member.post("/graphql", json={"query": type_of})
    assert sum(grown(await figures(client), after, "sessions")) == 2


async def test_sockets_and_subscriptions_show(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = measured
    before = await figures(client)

    async with listening(app) as port, followed(port, CHANGES) as events:
        await create_catalog_item(app.state.stores)
        assert (await events.next())["kind"] == "CREATED"
        during = await figures(client)
    with anyio.fail_after(60):
        while (after := await figures(client)).of("subscriptions") or after.of("sockets"):
            await pause()

    assert (before.of("sockets"), before.of("subscriptions"), before.of("subscription_events_total")) == (0, 0, 0)
    assert (during.of("sockets"), during.of("subscriptions"), during.of("subscription_events_total")) == (1, 1, 2)
    assert after.of("subscription_events_total") == 2


async def test_pools_of_both_stores_show(measured: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = measured
    await client.post("/graphql", json={"query": BOTH})

    shown = await figures(client)

    assert shown.of("mongodb_connections", state="checked_out") == 0
    assert shown.of("mongodb_connections", state="idle") >= 1
    assert shown.of("mongodb_connections_limit") == app.state.stores.mongo.options.pool_options.max_pool_size
    assert shown.of("postgres_connections", state="idle") >= 1
    most = app.state.settings.postgres_pool_size + app.state.settings.postgres_max_overflow
    assert shown.of("postgres_connections_limit") == most
    assert shown.of("store_connection_waiters") == 0
