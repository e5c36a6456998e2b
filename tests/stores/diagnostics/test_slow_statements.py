"""Slow statements and commands in the log: what is said of them, and what isn't."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from structlog.testing import capture_logs

from api.config.settings import Settings
from api.stores.calls import Asker, Call
from api.stores.diagnostics.slow_statements import MOST, SlowStatements, shape
from models import CatalogItem
from tests.support.applications import running
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user
from tests.support.graphql import gid
from tests.support.signing_in import signed_in
from tests.support.waiting import pause

pytestmark = [pytest.mark.anyio, pytest.mark.executed_once]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}


@contextlib.asynccontextmanager
async def logged(settings: Settings, **changes: Any) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient, list[Any]]]:
    """An application, a client of it, and what is logged meanwhile."""
    with capture_logs() as lines:
        async with running(settings, **changes) as (app, client):
            yield app, client, lines


def slow(lines: list[Any]) -> list[Any]:
    return [line for line in lines if line["event"] == "slow statement"]


def call(**changes: Any) -> Call:
    given: dict[str, Any] = {
        "store": "MongoDB", "kind": "find", "target": "designs", "began": 0.0, "seconds": 0.5, "rows": 3, "error": None,
        "tell": lambda: "", "askers": (), "keys": None, "readers": 1, "source": "",
    }  # fmt: skip
    return Call(**given | changes)


async def test_a_statement_that_waits_is_logged_with_who_asked(settings: Settings, clean_stores: None) -> None:
    async with logged(settings, slow_statement=0.05) as (app, client, lines):
        item = await create_catalog_item(app.state.stores)
        body = {
            "query": "query Secretive($id: ID!) { catalogItem(id: $id) { name } }",
            "variables": {"id": gid(item)},
        }
        async with app.state.stores.engine.begin() as connection:
            await connection.exec_driver_sql(f"LOCK TABLE {CatalogItem.__table__}")
            request = asyncio.create_task(client.post("/graphql", json=body, headers=PARENT))
            await asyncio.sleep(0.2)  # what is waited for is time itself
        answer = await request

        (line,) = [each for each in slow(lines) if each.get("operation") == "Secretive"]

    assert answer.json()["data"] == {"catalogItem": {"name": item.name}}
    assert line["ms"] > 50
    assert line == {
        "event": "slow statement", "log_level": "warning", "store": "PostgreSQL", "kind": "SELECT",
        "target": "catalog.catalog_items", "ms": line["ms"], "rows": 1, "operation": "Secretive",
        "fields": ["Query.catalogItem"], "loader": "catalog_item", "request_id": answer.headers["x-request-id"],
        "trace_id": TRACE,
    }  # fmt: skip
    assert str(item.id) not in str(line)


async def test_commands_of_mongodb_are_logged_and_quick_ones_are_not(settings: Settings, clean_stores: None) -> None:
    query = {"query": "query Board { designs(first: 1) { nodes { name } } }"}
    async with logged(settings, slow_statement=0.000001) as (app, client, lines):
        owner = await create_user(app.state.stores)
        await create_design(app.state.stores, user_id=owner.id, name="Hidden", status="published")
        await client.post("/graphql", json=query)
    found = [line for line in slow(lines) if line.get("operation") == "Board"]
    assert [(line["store"], line["target"]) for line in found] == [("MongoDB", "designs")]
    assert "Hidden" not in str(found)

    async with logged(settings, slow_statement=30.0) as (_, client, lines):
        await client.post("/graphql", json=query)
    assert not slow(lines)


async def test_the_field_that_asked_is_named(settings: Settings, clean_stores: None) -> None:
    looks = "query Looks { designs(first: 1) { nodes { owner { firstName } } } health { status } }"
    async with logged(settings, slow_statement=0.000001) as (app, client, lines):
        member, account = await signed_in(client, app.state.stores, "user")
        owner = await create_user(app.state.stores)
        await create_design(app.state.stores, user_id=owner.id, status="published")
        for _ in range(2):
            app.state.auth.sessions.forget_user(account.id)  # they are looked up before it is executed
            await member.post("/graphql", json={"query": looks})

    asked = [(line.get("target"), line.get("fields")) for line in slow(lines) if line.get("operation") == "Looks"]
    assert ("designs", ["Query.designs"]) in asked
    assert ("shared.users", ["Design.owner"]) in asked
    assert (None, ["Query.health"]) in asked
    before = [
        line for line in slow(lines) if line.get("target") == "shared.account_sessions" and "operation" not in line
    ]
    assert len(before) >= 2
    assert not any("fields" in line for line in before)  # nor those of the request before


async def test_nothing_is_observed_where_nothing_is_to_be_logged(settings: Settings, clean_stores: None) -> None:
    async with running(settings, slow_statement=0.0) as (app, _):
        assert not app.state.stores.calls.are_observed
    async with running(settings) as (app, _):
        assert app.state.stores.calls.are_observed


async def test_the_plan_is_logged_once_where_it_is_asked_for(settings: Settings, clean_stores: None) -> None:
    body = {"query": "query Plan($id: ID!) { catalogItem(id: $id) { name } }"}
    given = {"slow_statement": 0.000001, "slow_statement_plans": True, "coalescing": False}
    async with logged(settings, **given) as (app, client, lines):
        async with app.state.stores.engine.connect() as connection:
            if connection.dialect.server_version_info < (16,):
                pytest.skip("PostgreSQL plans without values (GENERIC_PLAN) from 16 on")
        item = await create_catalog_item(app.state.stores)
        for _ in range(2):
            await client.post("/graphql", json={**body, "variables": {"id": gid(item)}})
        with anyio.fail_after(30):
            while not (plans := [line for line in lines if line.get("operation") == "Plan" and "plan" in line]):
                await pause()
        for _ in range(2):
            await client.post("/graphql", json={**body, "variables": {"id": gid(item)}})

    assert len([line for line in lines if line.get("operation") == "Plan" and "plan" in line]) == 1
    assert plans[0]["target"] == "catalog.catalog_items"
    assert "catalog_items" in plans[0]["plan"]
    assert "$1" in plans[0]["statement"]
    assert str(item.id) not in str(lines)


def test_lines_are_bounded_and_the_next_one_says_how_many_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    observer, now = SlowStatements(0.2), 100.0
    monkeypatch.setattr("api.stores.diagnostics.slow_statements.time.monotonic", lambda: now)
    with capture_logs() as lines:
        for _ in range(MOST + 7):
            observer.called(call())
        now += 1
        observer.called(call())
        observer.called(call())

    assert len(lines) == MOST + 2
    assert [line.get("left_out") for line in lines[-3:]] == [None, 7, None]


def test_waiting_for_changes_is_not_slow() -> None:
    observer = SlowStatements(0.2)
    with capture_logs() as lines:
        observer.called(call(kind="getMore", rows=0))
        observer.called(call(kind="getMore", rows=1))
        assert not lines
        observer.called(call(kind="getMore", rows=None, error=TimeoutError()))
        observer.called(call(kind="find", rows=0))

    assert [(line["kind"], line.get("rows"), line.get("error")) for line in lines] == [
        ("getMore", None, "TimeoutError"),
        ("find", 0, None),
    ]


def test_what_is_shared_names_the_fields_of_all() -> None:
    root = Asker("request-1", "One", "query", trace_id="t")
    batches = [
        Asker("request-1", "One", "query", root, "user", ("Design.owner",)),
        Asker("request-2", "Two", "query", None, "user", ("Avatar.user", "Design.owner")),
    ]
    with capture_logs() as lines:
        SlowStatements(0.2).called(call(askers=batches, readers=2, error=TimeoutError("with a value"), rows=None))

    assert lines == [{
        "event": "slow statement", "log_level": "warning", "store": "MongoDB", "kind": "find", "target": "designs",
        "ms": 500.0, "operation": "One", "fields": ["Design.owner", "Avatar.user"], "loader": "user",
        "request_id": "request-1", "trace_id": "t", "shared_by": 2, "error": "TimeoutError",
    }]  # fmt: skip


def test_a_plan_is_told_by_its_nodes() -> None:
    index = {"Node Type": "Index Scan", "Relation Name": "avatars", "Index Name": "avatars_pkey"}
    join = {"Node Type": "Nested Loop", "Plans": [{"Node Type": "Seq Scan", "Relation Name": "users"}, index]}

    told = shape({"Node Type": "Limit", "Plans": [join]})

    assert told == "Limit > Nested Loop (Seq Scan users, Index Scan avatars by avatars_pkey)"
