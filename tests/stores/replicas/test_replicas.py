"""Queries are read from streaming replicas, and never miss what their client has written."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil  # type: ignore[import-untyped]
import pytest
from pydantic import SecretStr
from sqlalchemy import Integer, func, literal_column, select, text
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette

from api.config.settings import ConfigurationError, Settings, load_settings
from api.embedded.daemons import Daemon
from api.errors import as_app_error
from api.http.consistency import Consistency
from api.stores.replicas.position import EVERYWHERE, NOWHERE, Position
from api.stores.replicas.replica import Replica
from api.stores.stores import Stores
from migrations.runner import upgrade
from models import CatalogItem, Session
from models.statements import compile_select
from tests.support.applications import running
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import catalog_items, create_catalog_item
from tests.support.graphql import execute, gid
from tests.support.servers import environment, serving
from tests.support.signing_in import signed_in, with_token
from tests.support.stores.postgres_server import postgres_server, replica_of, started, url_of
from tests.support.waiting import pause

pytestmark = [pytest.mark.anyio, pytest.mark.executed_once]

Application = tuple[Starlette, httpx.AsyncClient]
TOKEN = "x-consistency-token"
ITEM = "query ($id: ID!) { catalogItem(id: $id) { name } }"
SIGN_OUT = "mutation { signOut(input: {}) { errors { code } } }"
UPDATE = "mutation ($input: UpdateCatalogItemInput!) { updateCatalogItem(input: $input) { errors { code } } }"


@pytest.fixture(scope="module")
def primary() -> Iterator[Daemon]:
    # what vacuum removes, a replica replays only once nobody there may still see it: for up to 30 s it falls behind
    with postgres_server(options={"autovacuum": "off"}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def migrated(settings: Settings, primary: Daemon) -> Settings:
    migrated = settings.model_copy(update={"database_url": SecretStr(url_of(primary))})
    upgrade(migrated)
    return migrated


@pytest.fixture(scope="module")
def daemons(migrated: Settings, primary: Daemon) -> Iterator[tuple[Daemon, Daemon]]:
    at_once = {"max_standby_streaming_delay": "500ms"}
    with (
        replica_of(primary, **at_once) as one,
        replica_of(primary, **at_once) as another,
        started(one),
        started(another),
    ):
        yield one, another


@pytest.fixture
def replicated(migrated: Settings, daemons: tuple[Daemon, Daemon]) -> Settings:
    urls = " ".join(url_of(daemon) for daemon in daemons)
    return migrated.model_copy(update={"database_replica_urls": SecretStr(urls)})


@pytest.fixture
async def application(replicated: Settings) -> AsyncIterator[Application]:
    async with running(replicated) as (app, client):
        await usable(app.state.stores, 2)
        yield app, client


async def usable(stores: Stores, number: int) -> list[Replica]:
    """The replicas that are read from, once there are so many."""
    assert stores.replicas is not None
    async with asyncio.timeout(60):
        while True:
            found = [replica for replica in stores.replicas if replica.is_usable]
            if len(found) == number:
                return found
            await pause()


@contextlib.asynccontextmanager
async def paused(*daemons: Daemon) -> AsyncIterator[None]:
    """Replicas that replay nothing as long as the block runs."""
    connections = [await asyncpg.connect(url_of(daemon)) for daemon in daemons]
    try:
        for connection in connections:
            await connection.execute("SELECT pg_wal_replay_pause()")
            while await connection.fetchval("SELECT pg_get_wal_replay_pause_state()") != "paused":
                await pause()
        yield
    finally:
        for connection in connections:
            await connection.execute("SELECT pg_wal_replay_resume()")
            await connection.close()


async def caught_up(stores: Stores) -> None:
    """All replicas have what is written now."""
    position = await stores.position()
    assert stores.replicas is not None
    async with asyncio.timeout(30):
        while not all(replica.is_usable and replica.has(position) for replica in stores.replicas):
            await pause()


def reads(stores: Stores) -> int:
    """How many statements have gone to replicas."""
    return sum(replica.reads for replica in stores.replicas or ())


async def name_of(client: httpx.AsyncClient, item: CatalogItem, token: str | None = None) -> str:
    """The name of an item, as this client sees it."""
    headers = {} if token is None else {TOKEN: token}
    response = await client.post("/graphql", json={"query": ITEM, "variables": {"id": gid(item)}}, headers=headers)
    name: str = response.json()["data"]["catalogItem"]["name"]
    return name


async def rename(client: httpx.AsyncClient, item: CatalogItem, name: str) -> str:
    """Rename an item. The token that the answer has."""
    response = await client.post(
        "/graphql", json={"query": UPDATE, "variables": {"input": {"id": gid(item), "name": name}}}
    )
    assert response.json() == {"data": {"updateCatalogItem": {"errors": []}}}
    return response.headers[TOKEN]


async def test_queries_are_read_from_all_replicas(application: Application) -> None:
    app, client = application
    stores: Stores = app.state.stores
    item = await create_catalog_item(stores, name="Silk")
    await caught_up(stores)
    for _ in range(4):
        assert await name_of(client, item) == "Silk"
    assert stores.replicas is not None
    assert [replica.reads for replica in stores.replicas] == [2, 2]


async def test_mutations_and_sessions_are_read_from_the_primary(
    application: Application, daemons: tuple[Daemon, Daemon]
) -> None:
    app, client = application
    stores: Stores = app.state.stores
    async with paused(*daemons):
        # neither the account nor its session is on a replica
        brand, _ = await signed_in(client, stores, "brand")
        created = await execute(
            brand,
            'mutation { createCatalogItem(input: { name: "Wool", type: FABRIC }) '
            "{ catalogItem { name } errors { code } } }",
        )
        assert created == {"createCatalogItem": {"catalogItem": {"name": "Wool"}, "errors": []}}
        assert reads(stores) == 0


async def test_whoever_has_written_sees_it(
    replicated: Settings, application: Application, daemons: tuple[Daemon, Daemon]
) -> None:
    """By the session, by the token, on this instance and another one; strangers see what the replicas have."""
    app, client = application
    stores: Stores = app.state.stores
    brand, user = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores, name="before", created_by=user.id)
    await caught_up(stores)
    async with running(replicated) as (other, elsewhere):
        await usable(other.state.stores, 2)
        brand_elsewhere = with_token(elsewhere, brand.headers["authorization"].removeprefix("Bearer "))
        assert await name_of(brand_elsewhere, item) == "before"
        async with paused(*daemons):
            token = await rename(brand, item, "after")
            for _ in range(2):  # each replica would have its turn
                assert await name_of(brand, item) == "after"
                assert await name_of(brand_elsewhere, item) == "after"
                assert await name_of(elsewhere, item, token) == "after"
                assert await name_of(elsewhere, item) == "before"
                assert await name_of(client, item) == "before"
        await caught_up(other.state.stores)
        before = reads(other.state.stores)
        assert await name_of(brand_elsewhere, item) == "after"
        assert await name_of(elsewhere, item, token) == "after"
        assert reads(other.state.stores) == before + 2


async def test_reads_that_go_together_are_of_one_place(
    application: Application, daemons: tuple[Daemon, Daemon]
) -> None:
    app, client = application
    stores: Stores = app.state.stores
    brand, user = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores, name="before", created_by=user.id)
    await caught_up(stores)
    async with paused(*daemons):
        token = await rename(brand, item, "after")
        tokens = [token if number % 2 else None for number in range(16)]
        names = await asyncio.gather(*(name_of(client, item, token) for token in tokens))
        # others at the same time have the same session, and other columns, which aren't equal queries
        assert names == ["after" if token else "before" for token in tokens]
        query = "query ($id: ID!) { catalogItem(id: $id) { id name } }"
        asking = [execute(brand if number % 2 else client, query, id=gid(item)) for number in range(16)]
        found = [data["catalogItem"]["name"] for data in await asyncio.gather(*asking)]
        assert found == ["after" if number % 2 else "before" for number in range(16)]
    assert stores.coalescer is not None
    assert stores.coalescer.sharing.keys_saved > 0


async def test_a_session_that_was_ended_is_not_read_stale(
    replicated: Settings, application: Application, daemons: tuple[Daemon, Daemon]
) -> None:
    app, client = application
    stores: Stores = app.state.stores
    user, _ = await signed_in(client, stores)
    await caught_up(stores)
    async with running(replicated) as (other, elsewhere):
        await usable(other.state.stores, 2)
        user_elsewhere = with_token(elsewhere, user.headers["authorization"].removeprefix("Bearer "))
        assert (await execute(user_elsewhere, "{ viewer { id } }"))["viewer"] is not None
        async with paused(*daemons):
            await execute(user, SIGN_OUT)
            response = await user_elsewhere.post("/graphql", json={"query": "{ viewer { id } }"})
            assert response.status_code == 401
            assert response.json()["errors"][0]["extensions"]["code"] == "INVALID_ACCESS_TOKEN"


async def test_an_answer_that_is_repeated_has_a_token(application: Application, daemons: tuple[Daemon, Daemon]) -> None:
    app, client = application
    stores: Stores = app.state.stores
    brand, user = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores, name="before", created_by=user.id)
    await caught_up(stores)
    body = {"query": UPDATE, "variables": {"input": {"id": gid(item), "name": "after"}}}
    async with paused(*daemons):
        for _ in range(2):
            response = await brand.post("/graphql", json=body, headers={"idempotency-key": "one"})
            assert response.json() == {"data": {"updateCatalogItem": {"errors": []}}}
            assert await name_of(client, item, response.headers[TOKEN]) == "after"
        assert response.headers["idempotency-replayed"] == "true"
        # the token of a batch is that of the last of its writes
        batch = await brand.post("/graphql", json=[body, {"query": "{ viewer { id } }"}])
        assert await name_of(client, item, batch.headers[TOKEN]) == "after"


async def test_what_is_no_token(application: Application, replicated: Settings) -> None:
    app, client = application
    stores: Stores = app.state.stores
    item = await create_catalog_item(stores, name="Silk")
    await caught_up(stores)
    consistency = Consistency(replicated)
    token = consistency.token(await stores.position())
    assert await name_of(client, item, token) == "Silk"
    other = Consistency(replicated.model_copy(update={"auth_secret": SecretStr("another one, of 32 bytes and more")}))
    broken = ["x", "", token[:-1], token + "A", "!" * len(token), "é" * 8, other.token(NOWHERE)]
    broken += [("B" if token[at] == "A" else "A").join((token[:at], token[at + 1 :])) for at in range(len(token) - 2)]
    before = reads(stores)
    for bad in broken:
        response = await client.post(
            "/graphql", json={"query": ITEM, "variables": {"id": gid(item)}}, headers=[(TOKEN.encode(), bad.encode())]
        )
        assert response.status_code == 400, bad
        (error,) = response.json()["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert error["message"] == "X-Consistency-Token is not a token of this API: send the newest one, or none."
    assert reads(stores) == before
    # the key before is still believed, and what lies in the future is read from the primary, at once
    changed = replicated.model_copy(
        update={
            "auth_secret": SecretStr("a newer secret, of 32 bytes and more"),
            "auth_secret_previous": replicated.auth_secret,
        }
    )
    assert Consistency(changed).read(token) == consistency.read(token)
    for future in (EVERYWHERE, Position(1, 2**62), Position(7, 0)):
        assert await name_of(client, item, consistency.token(future)) == "Silk"
    assert reads(stores) == before


async def test_one_that_is_too_far_behind_is_not_read(replicated: Settings, daemons: tuple[Daemon, Daemon]) -> None:
    async with running(replicated, replica_max_lag=1.0, metrics=True) as (app, client):
        stores: Stores = app.state.stores
        assert stores.replicas is not None
        item = await create_catalog_item(stores, name="before")
        await usable(stores, 2)
        await caught_up(stores)
        async with paused(daemons[0]):
            await catalog_items(stores).update(item.id, {"name": "after"})
            (left,) = await usable(stores, 1)
            assert left is stores.replicas[1]
            assert stores.replicas[0].why == "it is more than 1 s behind"
            async with paused(daemons[1]):
                await catalog_items(stores).update(item.id, {"name": "later"})
                await usable(stores, 0)
                assert await name_of(client, item) == "later"
                lags = [replica.lag for replica in stores.replicas]
                assert all(lag is not None and lag > 1 for lag in lags)
                ready = await client.get("/readyz")
                assert ready.status_code == 200
                assert ready.json()["status"] == "ready"
                assert ready.json()["replicas"] == dict.fromkeys(
                    ("replica 1", "replica 2"), "it is more than 1 s behind"
                )
                health = await client.get("/health/database")
                assert health.status_code == 200
                figures = (await client.get("/metrics")).text
                lag = re.search(
                    r'^fashion_wallet_replica_lag_seconds\{replica="replica 1"\} (\S+)$', figures, re.MULTILINE
                )
                assert lag is not None
                assert float(lag[1]) > 1
                assert 'fashion_wallet_replica_usable{replica="replica 1"} 0.0' in figures
                assert 'fashion_wallet_replica_reads_total{replica="replica 2"} 0.0' in figures
                assert "fashion_wallet_replicas_missed_total 1.0" in figures
                found = health.json()["checks"]["postgres"]["replicas"]
                assert [(each["name"], each["healthy"], each["secondsBehind"] >= 1) for each in found] == [
                    ("replica 1", False, True),
                    ("replica 2", False, True),
                ]
        await usable(stores, 2)
        await caught_up(stores)
        ready = await client.get("/readyz")
        assert "replicas" not in ready.json()
        assert await name_of(client, item) == "later"
        figures = (await client.get("/metrics")).text
        shown = re.findall(r'^fashion_wallet_replica_reads_total\{replica="(.+)"\} (\S+)$', figures, re.MULTILINE)
        assert shown == [(replica.name, str(float(replica.reads))) for replica in stores.replicas]
        assert sum(float(number) for _, number in shown) == 1


async def test_an_idle_primary_makes_no_lag(
    replicated: Settings, primary: Daemon, daemons: tuple[Daemon, Daemon]
) -> None:
    """Nothing is written for longer than replicas may be behind, and nothing replayed."""
    async with running(replicated, replica_max_lag=3.0) as (app, _):
        stores: Stores = app.state.stores
        await usable(stores, 2)
        assert stores.replicas is not None
        watched = await asyncpg.connect(url_of(primary))
        try:
            for _attempt in range(5):
                await caught_up(stores)
                written = await watched.fetchval("SELECT pg_current_wal_lsn()")
                async with paused(*daemons):
                    stayed = await _stay_usable(stores, 3.5)
                    lags = [replica.lag for replica in stores.replicas]
                    is_idle = written == await watched.fetchval("SELECT pg_current_wal_lsn()")
                    if is_idle:
                        assert stayed
                        assert lags == [0.0, 0.0]
                        # one that nobody has looked at for so long isn't read, either
                        assert stores.replicas.choose(NOWHERE) is not None
                        for replica in stores.replicas:
                            replica.as_of -= 3
                        assert stores.replicas.choose(NOWHERE) is None
                        return
            raise AssertionError("the primary was never idle")  # it writes by itself at most every 15 s
        finally:
            await watched.close()


async def _stay_usable(stores: Stores, seconds: float) -> bool:
    """Whether all replicas can be read from until each was found to have what there was so many seconds later."""
    assert stores.replicas is not None
    begun = [replica.as_of for replica in stores.replicas]
    async with asyncio.timeout(30):
        while any(replica.as_of < then + seconds for replica, then in zip(stores.replicas, begun, strict=True)):
            if not all(replica.is_usable for replica in stores.replicas):
                return False
            await pause()
    return True


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_one_that_is_gone_is_not_missed(replicated: Settings, primary: Daemon, how: str) -> None:
    """Requests go on meanwhile, and all of them are answered."""
    with replica_of(primary) as daemon, started(daemon):
        url = f"{replicated.replica_urls[0]} {url_of(daemon)}"
        async with running(replicated, database_replica_urls=SecretStr(url)) as (app, client):
            stores: Stores = app.state.stores
            item = await create_catalog_item(stores, name="Silk")
            await usable(stores, 2)
            await caught_up(stores)
            assert stores.replicas is not None
            gone = stores.replicas[1]
            done = asyncio.Event()

            async def ask() -> None:
                while not done.is_set():
                    assert await name_of(client, item) == "Silk"

            asking = [asyncio.create_task(ask()) for _ in range(4)]
            while not gone.reads:
                await pause()
            if how == "killed":
                port = daemon.port
                daemon.stop(20)
            else:
                processes = [psutil.Process(daemon.pid), *psutil.Process(daemon.pid).children()]
                for process in processes:
                    process.suspend()
            try:
                async with asyncio.timeout(30):
                    while gone.is_usable:
                        await pause()
                before = reads(stores)
                async with asyncio.timeout(30):
                    while reads(stores) < before + 10:  # the other one serves
                        await pause()
                ready = await client.get("/readyz")
                assert (ready.status_code, set(ready.json()["replicas"])) == (200, {"replica 2"})
            finally:
                if how == "killed":
                    daemon.start(port)
                    daemon.await_ready(60)
                else:
                    for process in processes:
                        process.resume()
            await usable(stores, 2)
            before = gone.reads
            async with asyncio.timeout(30):
                while gone.reads == before:
                    await pause()
            done.set()
            await asyncio.gather(*asking)


async def test_one_that_is_no_replica_of_this_primary(
    replicated: Settings, primary: Daemon, migrated: Settings
) -> None:
    with postgres_server(another=True) as stranger:
        upgrade_to = migrated.model_copy(update={"database_url": SecretStr(url_of(stranger))})
        await asyncio.to_thread(upgrade, upgrade_to)
        urls = SecretStr(f"{url_of(primary)},{url_of(stranger)}")
        async with running(replicated, database_replica_urls=urls) as (app, client):
            stores: Stores = app.state.stores
            item = await create_catalog_item(stores, name="Silk")
            assert stores.replicas is not None
            async with asyncio.timeout(30):
                while [replica.why for replica in stores.replicas] != [
                    "it replays nothing: it was promoted, or is the primary itself",
                    "it is of another cluster than the primary",
                ]:
                    await pause()
            assert await name_of(client, item) == "Silk"
            assert reads(stores) == 0


async def test_one_that_was_promoted_is_not_read(replicated: Settings, primary: Daemon) -> None:
    with replica_of(primary) as daemon, started(daemon):
        urls = SecretStr(url_of(daemon))
        async with running(replicated, database_replica_urls=urls) as (app, client):
            stores: Stores = app.state.stores
            item = await create_catalog_item(stores, name="before")
            await usable(stores, 1)
            await caught_up(stores)
            assert await name_of(client, item) == "before"
            assert reads(stores) == 1
            connection = await asyncpg.connect(url_of(daemon))
            assert await connection.fetchval("SELECT pg_promote()")
            await connection.execute("UPDATE catalog.catalog_items SET name = 'elsewhere'")
            await connection.close()
            await usable(stores, 0)
            await catalog_items(stores).update(item.id, {"name": "after"})
            assert await name_of(client, item) == "after"
            await because(stores, "it replays nothing: it was promoted, or is the primary itself")
        # a replica of the primary before isn't one of the promoted server
        changes = {"database_url": urls, "database_replica_urls": SecretStr(replicated.replica_urls[0])}
        async with running(replicated, **changes) as (app, client):
            stores = app.state.stores
            await because(stores, "it follows another timeline than the primary's")
            assert await name_of(client, item) == "elsewhere"


async def because(stores: Stores, why: str) -> None:
    """The only replica isn't read, for this reason."""
    assert stores.replicas is not None
    async with asyncio.timeout(30):
        while stores.replicas[0].why != why:
            await pause()


async def test_rights_are_checked_on_replicas_too(
    application: Application, replicated: Settings, daemons: tuple[Daemon, Daemon]
) -> None:
    async with running(replicated, row_level_security=True) as (app, client):
        stores: Stores = app.state.stores
        await usable(stores, 2)
        one, owner = await signed_in(client, stores, first_name="Ada")
        other, _ = await signed_in(client, stores, first_name="Bob")
        avatar = await create_avatar(stores, user_id=owner.id, name="Mine")
        await caught_up(stores)
        query = "query ($id: ID!) { node(id: $id) { ... on Avatar { name } } viewer { firstName email } }"
        mine = await execute(one, query, id=gid(avatar))
        theirs = await execute(other, query, id=gid(avatar))
        assert mine["node"]["name"] == "Mine"
        assert mine["viewer"]["email"] == owner.email
        assert theirs["node"] is None
        assert theirs["viewer"]["firstName"] == "Bob"
        assert reads(stores) > 0


async def test_a_statement_that_takes_too_long_is_not_repeated(replicated: Settings) -> None:
    async with running(replicated, statement_timeout=0.2) as (app, _):
        stores: Stores = app.state.stores
        await usable(stores, 2)
        query = stores.for_query(NOWHERE)
        slow: list[Any] = [func.pg_sleep(30)]
        with pytest.raises(DBAPIError) as caught:
            await query.fetch(compile_select(select(*slow)), ())
        told = as_app_error(caught.value)
        assert told is not None
        assert told.code.name == "TIMEOUT"
        assert stores.replicas is not None
        assert [replica.failures for replica in stores.replicas] == [0, 0]


async def test_what_fails_on_a_replica_is_asked_of_the_primary(replicated: Settings, daemons: Any) -> None:
    """A table that isn't there yet; from then on, the query stays on the primary."""
    async with running(replicated, metrics=True) as (app, client):
        stores: Stores = app.state.stores
        await usable(stores, 2)
        async with paused(*daemons), stores.engine.begin() as connection:
            await connection.execute(text("CREATE TABLE IF NOT EXISTS public.not_yet AS SELECT 7 AS seven"))
            await connection.commit()
            query = stores.for_query(NOWHERE)
            seven: list[Any] = [literal_column("seven", Integer)]
            statement = compile_select(select(*seven).select_from(text("public.not_yet")))
            assert [row[0] for row in await query.fetch(statement, ())] == [7]
            assert [row[0] for row in await query.fetch(statement, ())] == [7]
        assert stores.replicas is not None
        assert sum(replica.failures for replica in stores.replicas) == 1
        figures = (await client.get("/metrics")).text
        shown = re.findall(r'^fashion_wallet_replica_failures_total\{replica="(.+)"\} (\S+)$', figures, re.MULTILINE)
        assert shown == [(replica.name, str(float(replica.failures))) for replica in stores.replicas]
        async with stores.engine.begin() as connection:
            await connection.execute(text("DROP TABLE public.not_yet"))


async def test_without_replicas_there_are_no_tokens(migrated: Settings) -> None:
    async with running(migrated) as (app, client):
        stores: Stores = app.state.stores
        brand, user = await signed_in(client, stores, "brand")
        item = await create_catalog_item(stores, name="before", created_by=user.id)
        body = {"query": UPDATE, "variables": {"input": {"id": gid(item), "name": "after"}}}
        response = await brand.post("/graphql", json=body, headers={TOKEN: "whatever"})
        assert response.json() == {"data": {"updateCatalogItem": {"errors": []}}}
        assert TOKEN not in response.headers
        async with stores.reads.connect() as connection:
            found = await connection.execute(select(Session.seen_wal).where(Session.user_id == user.id))
            assert found.all() == [(None,)]


async def test_readers_of_their_own_writes_on_two_processes(
    replicated: Settings, primary: Daemon, tmp_path: Path
) -> None:
    """The replica applies everything half a second late, so whoever read from it too early would see it."""
    with replica_of(primary, recovery_min_apply_delay="500ms") as late, started(late), contextlib.ExitStack() as stack:
        settings = replicated.model_copy(update={"database_replica_urls": SecretStr(url_of(late)), "metrics": True})
        folders = [tmp_path / name for name in ("one", "two")]
        urls = []
        for folder in folders:
            folder.mkdir()
            variables = environment(settings)
            urls.append(stack.enter_context(serving("serve", "--port", "0", folder=folder, variables=variables)).url)
        async with running(settings) as (app, _):
            stores: Stores = app.state.stores
            await usable(stores, 1)
            await asyncio.gather(*(write_and_read(settings, stores, urls, number) for number in range(6)))
            assert reads(stores) == 0
        async with httpx.AsyncClient() as client:
            for url in urls:
                found = (await client.get(f"{url}/health/database")).json()["checks"]["postgres"]["replicas"]
                assert [each["healthy"] for each in found] == [True]


async def write_and_read(settings: Settings, stores: Stores, urls: list[str], number: int) -> None:
    """Write on one instance and read on the other one, with a session or a token, again and again."""
    async with httpx.AsyncClient(base_url=urls[0]) as one, httpx.AsyncClient(base_url=urls[1]) as two:
        instances = [one, two]
        brand, user = await signed_in(one, stores, "brand", settings=settings)
        item = await create_catalog_item(stores, name="new", created_by=user.id)
        authorization = {"authorization": brand.headers["authorization"]}
        await brand.aclose()
        for round in range(12):
            writer, reader = instances[round % 2], instances[(round + number) % 2]
            name = f"{number} {round}"
            body = {"query": UPDATE, "variables": {"input": {"id": gid(item), "name": name}}}
            written = await writer.post("/graphql", json=body, headers=authorization)
            assert written.json() == {"data": {"updateCatalogItem": {"errors": []}}}
            headers = authorization if number % 3 else {TOKEN: written.headers[TOKEN]}
            read = await reader.post("/graphql", json={"query": ITEM, "variables": {"id": gid(item)}}, headers=headers)
            assert read.json()["data"]["catalogItem"]["name"] == name


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("postgresql://a/x", ["postgresql://a/x"]),
        ("postgresql://a/x,postgres://b/x", ["postgresql://a/x", "postgres://b/x"]),
        (
            " postgresql://a,b:5433/x\n\tpostgresql+asyncpg://c/x , ",
            ["postgresql://a,b:5433/x", "postgresql+asyncpg://c/x"],
        ),
    ],
)
def test_urls_of_replicas(text: str, urls: list[str]) -> None:
    assert list(Settings(_env_file=None, database_replica_urls=text).replica_urls) == urls


def test_urls_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for url, message in (
        ("postgresql://a/x, b", "DATABASE_REPLICA_URLS: not a valid PostgreSQL URL"),
        ("postgresql://a/x,b/y", "DATABASE_REPLICA_URLS: not a valid PostgreSQL URL"),
        ("mysql://a", "DATABASE_REPLICA_URLS: must start with postgresql://"),
        ("postgresql://a/x postgresql://b/x?channel_binding=require", "DATABASE_REPLICA_URLS: the driver has no"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            load_settings(_env_file=None, database_replica_urls=url)
