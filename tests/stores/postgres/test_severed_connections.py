"""A PostgreSQL that goes away in the middle of a conversation, at each of its messages, or stops writing: clients are
told that it is not available, never that something of ours is broken, and what they ask next is answered."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from api.config.settings import Settings
from api.stores.stores import Stores
from models import connection_pool
from tests.support.applications import running
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.users import users
from tests.support.failures.proxies import through
from tests.support.failures.severing import Manner, Severing
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

READ = {"query": "{ catalogItems(first: 2) { totalCount nodes { name } } }"}
READ_BACK = {"data": {"catalogItems": {"totalCount": 1, "nodes": [{"name": "Silk"}]}}}
WRITE = {
    "query": "mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { errors { code } } }",
    "variables": {"input": {"firstName": "Grace"}},
}
WRITTEN: dict[str, Any] = {"data": {"updateProfile": {"errors": []}}}
EITHER = pytest.mark.parametrize(("asked", "right"), [(READ, READ_BACK), (WRITE, WRITTEN)], ids=["read", "write"])


@contextlib.asynccontextmanager
async def behind(
    settings: Settings, stores: Stores, **changes: Any
) -> AsyncIterator[tuple[Severing, Starlette, httpx.AsyncClient]]:
    """An application with one connection to PostgreSQL, through a proxy, and a client who is signed in."""
    assert settings.postgres_url is not None
    await create_catalog_item(stores, name="Silk")
    async with Severing(urlsplit(settings.postgres_url).port or 0).listening() as proxy:
        changes |= {"database_url": through(settings.postgres_url, proxy.port), "breaker_failures": 1_000_000}
        async with running(settings, postgres_pool_size=1, **changes) as (app, client):
            mine, _ = await signed_in(client, stores)
            yield proxy, app, mine


def codes(answer: Any) -> set[tuple[str, str]]:
    return {(error["extensions"]["code"], error["extensions"].get("store", "")) for error in answer.get("errors", ())}


UNAVAILABLE = {("STORE_UNAVAILABLE", "PostgreSQL")}


@EITHER
@pytest.mark.parametrize("manner", Manner, ids=lambda manner: manner.value)
@pytest.mark.parametrize(("cold", "walled"), [(False, False), (True, False), (False, True)], ids=["", "cold", "walled"])
async def test_a_server_that_goes_at_any_message(
    settings: Settings, stores: Stores, asked: Any, right: Any, manner: Manner, cold: bool, walled: bool
) -> None:
    async with behind(settings, stores, row_level_security=walled) as (proxy, app, mine):
        number, severed, wrong = 0, True, {}
        while severed:
            number += 1
            if cold:
                await app.state.stores.engine.dispose()
            proxy.sever(number, manner)
            answer = (await mine.post("/graphql", json=asked)).json()
            severed = proxy.severed
            proxy.let_pass()
            again = (await mine.post("/graphql", json=asked)).json()
            if manner is Manner.IDLE and codes(again) == UNAVAILABLE:  # it said so after its last answer
                again = (await mine.post("/graphql", json=asked)).json()
            if (answer != right and codes(answer) != UNAVAILABLE) or again != right:
                wrong[number] = (answer, again)
        assert wrong == {}
        assert number > 2


async def test_connections_to_a_demoted_primary_are_replaced_at_once(settings: Settings, stores: Stores) -> None:
    """The server writes again, for connections that are opened from now on."""
    async with running(settings, postgres_pool_size=3) as (app, client):
        mine, user = await signed_in(client, stores)
        own: Stores = app.state.stores
        async with own.engine.connect() as first, own.engine.connect() as second, own.engine.connect() as third:
            for connection in (first, second, third):
                await connection.exec_driver_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
                await connection.commit()
        answers = [(await mine.post("/graphql", json=WRITE)).json() for _ in range(3)]

        assert codes(answers[0]) == UNAVAILABLE
        assert answers[1:] == [WRITTEN, WRITTEN]
        stored = await users(stores).find_by_id(user.id)
        assert stored is not None
        assert stored.first_name == "Grace"


async def test_a_server_that_only_reads_is_asked_anew_once_in_a_while(
    settings: Settings, stores: Stores, locks: asyncpg.Connection[asyncpg.Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for each write that fails: new connections can't help it."""
    monkeypatch.setattr(connection_pool, "LOOKS_AGAIN", 3600.0)
    name = await locks.fetchval("SELECT current_database()")
    async with behind(settings, stores) as (proxy, app, mine):
        await locks.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        try:
            await app.state.stores.engine.dispose()
            before = proxy.accepted
            answers = [(await mine.post("/graphql", json=each)).json() for each in (WRITE, READ, WRITE, WRITE, READ)]
        finally:
            await locks.execute("SET default_transaction_read_only = off")
            await locks.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        assert proxy.accepted - before == 2  # the first one, and the one that took its place

        assert [codes(answer) for answer in answers] == [UNAVAILABLE, set(), UNAVAILABLE, UNAVAILABLE, set()]
        monkeypatch.setattr(connection_pool, "LOOKS_AGAIN", 0.0)
        assert codes((await mine.post("/graphql", json=WRITE)).json()) == UNAVAILABLE
        assert (await mine.post("/graphql", json=WRITE)).json() == WRITTEN
