"""Health: the probes' answers over servers that answer, refuse, hang, and are too busy."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from pymongo import errors as mongodb
from sqlalchemy import AsyncAdaptedQueuePool, text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import async_sessionmaker
from starlette.applications import Starlette

from api.config.settings import Settings
from api.embedded.daemons import free_port
from api.embedded.servers import EmbeddedStores, embedded_stores
from api.health import store
from api.health.reasons import reason
from api.health.report import ConnectionCounts, MongodbState
from api.http.monitoring.health import routes, timestamp
from api.stores.mongodb.client import mongo_client, mongo_database
from api.stores.postgres.connector import Connector, SpareConnection
from api.stores.postgres.engine import postgres_engine
from api.stores.stores import Stores, open_stores
from models.external_pooler import autocommit
from models.statements import StatementRunner
from tests.support.applications import running
from tests.support.failures.freezing import freeze, thaw
from tests.support.servers import POSTGRES_BIN
from tests.support.stores.cluster import copy_cluster
from tests.support.stores.databases import end_sessions
from tests.support.stores.folders import throwaway_folder

pytestmark = pytest.mark.anyio

PROMISE = 2.0
"""Seconds within which a probe is answered, whatever is down."""
SAFETY = 30.0
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PATHS = ("/health", "/health/database", "/readyz")


def with_urls(settings: Settings, **changes: Any) -> Settings:
    """The settings with other values; URLs are given as plain strings."""
    secrets = {name: SecretStr(value) for name, value in changes.items() if name in ("database_url", "mongodb_uri")}
    return settings.model_copy(update={**changes, **secrets})


@contextlib.asynccontextmanager
async def unverified_stores(settings: Settings) -> AsyncIterator[Stores]:
    """The stores without a word to either server (`open_stores` asks MongoDB something), so that they may be down."""
    engine, client, spare = postgres_engine(settings), mongo_client(settings), SpareConnection(Connector(settings))
    try:
        yield Stores(
            engine=engine,
            reads=autocommit(engine),
            statements=StatementRunner(engine),
            spare=spare,
            sessions=async_sessionmaker(engine),
            mongo=client,
            spare_mongo=client,
            database=mongo_database(settings, client),
        )
    finally:
        await spare.close()
        await client.close()
        await engine.dispose()


@contextlib.asynccontextmanager
async def probing(settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, Stores]]:
    """A client of an application that has only the probes, over the stores of these settings."""
    async with asyncio.timeout(SAFETY), unverified_stores(settings) as stores:
        app = Starlette(routes=routes())
        app.state.stores, app.state.settings = stores, settings
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client, stores


async def timed(client: httpx.AsyncClient, path: str) -> httpx.Response:
    """The answer, which must come within the promised time."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    response = await client.get(path)
    assert loop.time() - started < PROMISE
    return response


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SAFETY):
        while not condition():  # noqa: ASYNC110  the pool reports to nobody
            await asyncio.sleep(0.01)


def checked_out(stores: Stores) -> int:
    assert isinstance(stores.engine.pool, AsyncAdaptedQueuePool)
    return stores.engine.pool.checkedout()


@pytest.fixture(scope="module")
def freezable() -> Iterator[EmbeddedStores]:
    """Servers that no other module uses, so that they can be stopped; SecantusDB takes fail points."""
    with throwaway_folder() as folder:
        arguments = ("--cache-size", "64M", "--log-level", "WARNING", "--enable-test-commands")
        copy_cluster(folder, POSTGRES_BIN)
        with embedded_stores(folder, durable=False, postgres_bin=POSTGRES_BIN, secantus_args=arguments) as own:
            yield own


@pytest.fixture
def freezable_settings(settings: Settings, freezable: EmbeddedStores) -> Settings:
    return with_urls(settings, database_url=freezable.database_url, mongodb_uri=freezable.mongodb_uri)


@contextlib.contextmanager
def frozen(pid: int | None) -> Iterator[None]:
    """The process and its children stand still inside the block."""
    assert pid is not None
    stopped = freeze(pid)
    try:
        yield
    finally:
        thaw(stopped)


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


async def test_answers_of_healthy_stores(settings: Settings, clean_stores: None) -> None:
    async with probing(settings) as (client, stores):
        health = await client.get("/health")
        database = await client.get("/health/database")
        ready = await client.get("/readyz")

        assert (health.status_code, database.status_code, ready.status_code) == (200, 200, 200)
        for response, status in ((health, "healthy"), (database, "healthy"), (ready, "ready")):
            assert response.headers["content-type"] == "application/json"
            assert response.headers["cache-control"] == "no-store"
            assert response.json()["status"] == status
            assert TIMESTAMP.fullmatch(response.json()["timestamp"])
        assert health.json().keys() == ready.json().keys() == {"status", "timestamp"}
        postgres, mongo = database.json()["checks"]["postgres"], database.json()["checks"]["mongodb"]
        assert postgres.keys() == {"healthy", "responseTime", "cutOff", "connections", "server"}
        assert postgres["healthy"] is True
        assert 0 <= postgres["responseTime"] < 1500
        assert postgres["connections"] == {"total": 0, "active": 0, "idle": 0}  # no request has needed one
        assert mongo.keys() == {"healthy", "responseTime", "cutOff", "connection", "server"}
        assert mongo["healthy"] is True
        assert 0 <= mongo["responseTime"] < 1500
        assert mongo["connection"] == {"state": "connected", "topology": "Single"}
        assert checked_out(stores) == 0


async def test_detailed_figures_are_those_of_the_servers(freezable_settings: Settings) -> None:
    async with probing(freezable_settings) as (client, stores):
        await stores.database["counted"].drop()
        await stores.database["counted"].insert_many([{"n": n} for n in range(3)])
        await stores.database["counted"].create_index("n")
        async with stores.engine.connect() as one, stores.engine.connect() as other:
            await one.execute(text("SELECT 1"))  # begins a transaction
            version = (await other.execute(text("SHOW server_version"))).scalar_one()
            await other.rollback()

            checks = (await client.get("/health/database")).json()["checks"]

        server = checks["postgres"]["server"]
        assert server["version"] == version
        assert server["maxConnections"] == 100
        assert server["connections"] == {"total": 3, "active": 0, "idle": 2, "idleInTransaction": 1, "other": 0}
        assert checks["postgres"]["connections"] == {"total": 2, "active": 2, "idle": 0}
        stats = await stores.database.command("dbStats")
        assert checks["mongodb"]["server"] == {
            "version": (await stores.mongo.server_info())["version"],
            "collections": stats["collections"],
            "objects": stats["objects"],
            "dataSize": stats["dataSize"],
            "indexes": stats["indexes"],
            "indexSize": stats["indexSize"],
        }
        assert (await stores.database["counted"].count_documents({})) == 3
        assert stats["objects"] >= 3


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_figures_are_for_who_has_the_token(settings: Settings, clean_stores: None, environment: str) -> None:
    token = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

    async def get(client: httpx.AsyncClient, authorization: str | None = None) -> tuple[int, Any]:
        headers = {} if authorization is None else {"authorization": authorization}
        answer = await client.get("/health/database", headers=headers)
        return answer.status_code, answer.json()

    closed = {"healthy", "responseTime", "cutOff"}
    async with running(settings, environment=environment) as (app, client):
        for authorization in (None, f"Bearer {token}"):
            status, body = await get(client, authorization)
            assert (status, body["status"]) == (200, "healthy")
            postgres = body["checks"]["postgres"]
            detailed = {"connections", "server"} | (
                {"nodes"} if app.state.stores.distribution.is_distributed else set()
            )
            assert postgres.keys() == (closed if environment == "production" else closed | detailed)
    async with running(settings, environment=environment, health_token=SecretStr(token)) as (_, client):
        status, body = await get(client)
        assert (status, body.keys()) == (200, {"status", "timestamp", "checks"})
        assert {name: check.keys() for name, check in body["checks"].items()} == {"postgres": closed, "mongodb": closed}
        for authorization in (f"bearer {token}", f"Bearer  {token}"):
            status, body = await get(client, authorization)
            assert (status, set(body["checks"]["mongodb"])) == (200, closed | {"connection", "server", "liveUpdates"})
        for authorization in ("", "Bearer", f"Basic {token}", f"Bearer {token[:-1]}", f"Bearer {token}0"):
            assert await get(client, authorization) == (401, {"error": "The token is not HEALTH_TOKEN."}), authorization


async def test_head_is_answered_and_other_methods_are_not(stores: Stores, settings: Settings) -> None:
    async with probing(settings) as (client, _):
        for path in (*PATHS, "/livez"):
            assert (await client.head(path)).status_code == 200
            assert (await client.post(path)).status_code == 405


async def test_postgres_that_refuses(settings: Settings) -> None:
    port = free_port()
    down = with_urls(settings, database_url=f"postgresql://alice:hunter2@127.0.0.1:{port}/secret")
    async with probing(down) as (client, stores):
        responses = [await timed(client, path) for path in PATHS]

        assert [response.status_code for response in responses] == [503, 503, 503]
        assert [response.json()["status"] for response in responses] == ["unhealthy", "unhealthy", "unready"]
        checks = responses[1].json()["checks"]
        assert checks["postgres"].keys() == {"healthy", "responseTime", "error", "cutOff", "connections"}
        assert checks["postgres"]["healthy"] is False
        assert checks["postgres"]["error"] == "connection refused"
        assert checks["postgres"]["connections"] == {"total": 0, "active": 0, "idle": 0}
        assert checks["mongodb"]["healthy"] is True
        assert "error" not in checks["mongodb"]
        for secret in ("127.0.0.1", str(port), "alice", "hunter2", "secret"):
            assert secret not in responses[1].text
        assert checked_out(stores) == 0


async def test_mongodb_that_refuses(settings: Settings) -> None:
    port = free_port()
    down = with_urls(settings, mongodb_uri=f"mongodb://alice:hunter2@127.0.0.1:{port}/secret")
    async with probing(down) as (client, _):
        responses = [await timed(client, path) for path in PATHS]

        assert [response.status_code for response in responses] == [503, 503, 503]
        checks = responses[1].json()["checks"]
        assert checks["postgres"]["healthy"] is True
        assert checks["mongodb"].keys() == {"healthy", "responseTime", "error", "cutOff", "connection"}
        assert checks["mongodb"]["healthy"] is False
        assert checks["mongodb"]["error"] == "connection refused"
        assert checks["mongodb"]["connection"] == {"state": "disconnected", "topology": "Unknown"}
        for secret in ("127.0.0.1", str(port), "alice", "hunter2", "secret"):
            assert secret not in responses[1].text


async def test_stores_that_never_say_a_word(settings: Settings, black_hole: int) -> None:
    down = with_urls(
        settings,
        database_url=f"postgresql://alice:hunter2@127.0.0.1:{black_hole}/secret",
        mongodb_uri=f"mongodb://alice:hunter2@127.0.0.1:{black_hole}/secret",
    )
    async with probing(down) as (client, stores):
        response = await timed(client, "/health/database")

        assert response.status_code == 503
        checks = response.json()["checks"]
        assert checks["postgres"]["error"] == checks["mongodb"]["error"] == "timed out after 1.5 s"
        for secret in ("127.0.0.1", str(black_hole), "alice", "hunter2", "secret"):
            assert secret not in response.text
        await until(lambda: checked_out(stores) == 0)


async def test_the_process_lives_while_both_stores_are_down(settings: Settings) -> None:
    port = free_port()
    down = with_urls(
        settings, database_url=f"postgresql://127.0.0.1:{port}/x", mongodb_uri=f"mongodb://127.0.0.1:{port}/x"
    )
    async with probing(down) as (client, _):
        live, health = await client.get("/livez"), await timed(client, "/health/database")

    assert live.status_code == 200
    assert live.headers["cache-control"] == "no-store"
    assert live.json()["status"] == "alive"
    assert TIMESTAMP.fullmatch(live.json()["timestamp"])
    assert [check["healthy"] for check in health.json()["checks"].values()] == [False, False]


@pytest.mark.parametrize("warm", [True, False], ids=["connected before", "not yet"])
async def test_frozen_postgres(freezable_settings: Settings, freezable: EmbeddedStores, warm: bool) -> None:
    async with probing(freezable_settings) as (client, _):
        if warm:
            assert (await client.get("/readyz")).status_code == 200

        with frozen(freezable.postgres_pid):
            response = await timed(client, "/health/database")

        assert response.status_code == 503
        checks = response.json()["checks"]
        assert checks["postgres"]["error"] == "timed out after 1.5 s"
        assert checks["postgres"]["connections"] == {"total": 0, "active": 0, "idle": 0}
        assert checks["mongodb"]["healthy"] is True
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("warm", [True, False], ids=["connected before", "not yet"])
async def test_frozen_mongodb(freezable_settings: Settings, freezable: EmbeddedStores, warm: bool) -> None:
    async with probing(freezable_settings) as (client, _):
        if warm:
            assert (await client.get("/readyz")).status_code == 200

        with frozen(freezable.mongodb_pid):
            response = await timed(client, "/health/database")

        assert response.status_code == 503
        checks = response.json()["checks"]
        assert checks["mongodb"]["error"] == "timed out after 1.5 s"
        assert checks["postgres"]["healthy"] is True
        assert (await client.get("/readyz")).status_code == 200


async def test_replica_set_without_a_primary(freezable_settings: Settings, freezable: EmbeddedStores) -> None:
    assert freezable.mongodb_uri is not None
    uri = f"{freezable.mongodb_uri.partition('?')[0]}?heartbeatFrequencyMS=500"  # how long it may take to notice
    discovered = with_urls(freezable_settings, mongodb_uri=uri)
    async with probing(discovered) as (client, stores):
        assert (await client.get("/readyz")).status_code == 200
        await stores.mongo.admin.command("replSetStepDown", 4, force=True)
        try:
            await until(lambda: not stores.mongo.topology_description.has_writable_server())
            response = await timed(client, "/health/database")
        finally:  # the server takes over again by itself
            await until(lambda: stores.mongo.topology_description.has_writable_server())

        assert response.status_code == 503
        mongo = response.json()["checks"]["mongodb"]
        assert mongo["error"] == "no primary"
        assert mongo["connection"] == {"state": "readOnly", "topology": "ReplicaSetNoPrimary"}
        assert (await client.get("/readyz")).status_code == 200


async def test_a_pool_that_is_in_use_is_ready(settings: Settings) -> None:
    tiny = with_urls(settings, postgres_pool_size=1, postgres_max_overflow=0, postgres_pool_timeout=0.05)
    async with probing(tiny) as (client, stores), stores.engine.connect():
        with pytest.raises(PoolTimeout):
            await stores.engine.connect()
        ready, figures = await client.get("/readyz"), await client.get("/health/database")

    assert (ready.status_code, figures.status_code) == (200, 200)
    postgres = figures.json()["checks"]["postgres"]
    assert (postgres["healthy"], postgres["connections"]) == (True, {"total": 1, "active": 1, "idle": 0})


async def test_every_check_has_the_same_connection(settings: Settings) -> None:
    async with probing(settings) as (client, stores):
        assert (await client.get("/readyz")).status_code == 200
        first = await stores.spare.take()
        stores.spare.give_back(first)
        assert (await client.get("/health/database")).status_code == 200
        assert await stores.spare.take() is first
        first.terminate()


async def test_frozen_postgres_with_a_pool_of_one_is_not_a_full_pool(
    freezable_settings: Settings, freezable: EmbeddedStores
) -> None:
    tiny = with_urls(freezable_settings, postgres_pool_size=1, postgres_max_overflow=0)
    async with probing(tiny) as (client, _):
        assert (await client.get("/readyz")).status_code == 200
        with frozen(freezable.postgres_pid):
            first = await timed(client, "/health/database")
            second = await timed(client, "/health/database")

    for response in (first, second):
        assert response.json()["checks"]["postgres"]["error"] == "timed out after 1.5 s"


async def test_connection_that_outlived_its_server_is_replaced(settings: Settings) -> None:
    async with probing(settings) as (client, stores):
        assert (await client.get("/readyz")).status_code == 200
        kept = await stores.spare.take()
        stores.spare.give_back(kept)
        assert settings.postgres_url is not None
        assert await end_sessions(settings.postgres_url, f"pid = {kept.get_server_pid()}") == 1

        assert (await client.get("/readyz")).status_code == 200
        new = await stores.spare.take()
        assert (kept.is_closed(), new.is_closed()) == (True, False)
        stores.spare.give_back(new)


@pytest.mark.parametrize(
    ("user", "database", "error"),
    [("postgres", "nowhere", "the database does not exist"), ("nobody-known", "postgres", "authentication failed")],
)
async def test_postgres_that_turns_us_away(settings: Settings, user: str, database: str, error: str) -> None:
    assert settings.postgres_url is not None
    port = urlsplit(settings.postgres_url).port
    down = with_urls(settings, database_url=f"postgresql://{user}:hunter2@127.0.0.1:{port}/{database}")
    async with probing(down) as (client, _):
        response = await client.get("/health/database")

    assert response.json()["checks"]["postgres"]["error"] == error
    for secret in ("nobody-known", "nowhere", "127.0.0.1", str(port), "hunter2"):
        assert secret not in response.text


async def test_probes_at_the_same_time_share_one_check(stores: Stores) -> None:
    statements: list[str] = []
    connection = await stores.spare.take()
    connection.add_query_logger(lambda query: statements.append(query.query))
    stores.spare.give_back(connection)

    results = await asyncio.gather(*[store.check(stores, timeout=1.5) for _ in range(50)])

    assert len({id(result) for result in results}) == 1
    assert results[0].healthy
    assert statements == ["SELECT 1"]
    assert results[0].postgres.connections == ConnectionCounts(total=0, active=0, idle=0)
    later = await store.check(stores, timeout=1.5)
    assert later is not results[0]
    assert statements == ["SELECT 1"] * 2


async def test_cancelled_caller_cancels_nobody_else(stores: Stores) -> None:
    first, second = (asyncio.create_task(store.check(stores, timeout=1.5)) for _ in range(2))
    await asyncio.sleep(0)  # both wait for the same check

    first.cancel()

    assert (await second).healthy
    assert first.cancelled()


async def test_check_that_everybody_left_gives_its_connection_back(stores: Stores) -> None:
    connection = await stores.spare.take()
    stores.spare.give_back(connection)
    caller = asyncio.create_task(store.check(stores, timeout=1.5))

    def leave(_: object) -> None:
        caller.cancel()

    connection.add_query_logger(leave)

    with pytest.raises(asyncio.CancelledError):
        await caller

    assert (await store.check(stores, timeout=1.5)).healthy
    assert await stores.spare.take() is connection
    connection.terminate()


async def test_slow_figures_do_not_make_a_store_unhealthy(freezable_settings: Settings) -> None:
    async with probing(freezable_settings) as (client, stores):
        slow = {"failCommands": ["dbStats"], "blockConnection": True, "blockTimeMS": 10_000}
        await stores.mongo.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=slow)
        try:
            response = await timed(client, "/health/database")
        finally:
            await stores.mongo.admin.command("configureFailPoint", "failCommand", mode="off")

        assert response.status_code == 200
        mongo = response.json()["checks"]["mongodb"]
        assert mongo.keys() == {"healthy", "responseTime", "cutOff", "connection"}
        assert mongo["healthy"] is True


async def test_draining_server_is_not_ready_and_alive(settings: Settings, stores: Stores) -> None:
    app = Starlette(routes=routes())
    app.state.stores, app.state.settings, app.state.draining = stores, settings, True
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
        ready, live, health = [await client.get(path) for path in ("/readyz", "/livez", "/health")]

    assert (ready.status_code, ready.json()["status"]) == (503, "draining")
    assert (live.status_code, health.status_code) == (200, 200)


QUERY = """{ health { status timestamp checks {
    postgres { healthy responseTime error connections { total active idle } }
    mongodb { healthy responseTime error state } } } }"""


async def test_graphql_agrees_with_rest(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/graphql", json={"query": QUERY})).json()
    rest = (await client.get("/health/database")).json()

    assert answer.keys() == {"data"}
    health = answer["data"]["health"]
    assert (health["status"], rest["status"]) == ("HEALTHY", "healthy")
    assert datetime.fromisoformat(health["timestamp"]).tzinfo is not None
    postgres, mongo = health["checks"]["postgres"], health["checks"]["mongodb"]
    assert (postgres["healthy"], postgres["error"]) == (True, None)
    assert isinstance(postgres["responseTime"], int)
    assert postgres["connections"] == rest["checks"]["postgres"]["connections"]
    assert (mongo["healthy"], mongo["error"], mongo["state"]) == (True, None, "CONNECTED")
    assert isinstance(mongo["responseTime"], int)


async def test_stores_that_are_down_are_data_in_graphql(settings: Settings, app: Starlette) -> None:
    port = free_port()
    down = with_urls(
        settings, database_url=f"postgresql://127.0.0.1:{port}/x", mongodb_uri=f"mongodb://127.0.0.1:{port}/x"
    )
    serving = app.state.stores
    async with unverified_stores(down) as stores:
        app.state.stores = stores
        try:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                response = await client.post("/graphql", json={"query": QUERY})
        finally:
            app.state.stores = serving

    assert response.status_code == 200
    assert response.json().keys() == {"data"}
    health = response.json()["data"]["health"]
    assert health["status"] == "UNHEALTHY"
    assert health["checks"]["postgres"]["error"] == "connection refused"
    assert health["checks"]["postgres"]["connections"] == {"total": 0, "active": 0, "idle": 0}
    assert health["checks"]["mongodb"]["error"] == "connection refused"
    assert health["checks"]["mongodb"]["state"] == "DISCONNECTED"


async def test_state_of_a_deployment_that_is_not_there(settings: Settings) -> None:
    down = with_urls(settings, mongodb_uri=f"mongodb://127.0.0.1:{free_port()}/x")
    async with asyncio.timeout(SAFETY), unverified_stores(down) as stores:
        health = await store.check(stores, timeout=0.2)

    assert health.mongodb.state is MongodbState.DISCONNECTED
    assert not health.healthy
    assert health.postgres.healthy


class _Sqlstate(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("at db.internal:5432 for alice")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (TimeoutError("db.internal"), "timed out after 0.5 s"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "db.internal"), "connection refused"),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 5432)"), "connection refused"),
        (ConnectionResetError(errno.ECONNRESET, "db.internal"), "connection lost"),
        (ConnectionError("db.internal"), "connection lost"),
        (
            asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
            "connection lost",
        ),
        (OSError(errno.EHOSTUNREACH, "db.internal"), "host unreachable"),
        (socket.gaierror(socket.EAI_NONAME, "db.internal"), "host name not found"),
        (ConnectionError("PostgreSQL server at db.internal:5432 rejected SSL upgrade"), "TLS failed"),
        (_Sqlstate("28P01"), "authentication failed"),
        (_Sqlstate("3D000"), "the database does not exist"),
        (
            _Sqlstate("53300"),
            "too many connections at the server: lower POSTGRES_POOL_SIZE or WORKERS, or raise the limit there",
        ),
        (_Sqlstate("57P03"), "the server is starting or shutting down"),
        (mongodb.OperationFailure("alice at db.internal", code=18), "authentication failed"),
        (mongodb.OperationFailure("alice at db.internal", code=13), "not permitted"),
        (mongodb.OperationFailure("alice at db.internal", code=2), "unexpected error"),
        (mongodb.WaitQueueTimeoutError("db.internal"), "no free connection in the pool"),
        (mongodb.NetworkTimeout("db.internal"), "timed out after 0.5 s"),
        (mongodb.ServerSelectionTimeoutError("No primary available for writes"), "no primary"),
        (mongodb.AutoReconnect("db.internal:27017: SSL handshake failed: no"), "TLS failed"),
        (mongodb.AutoReconnect("db.internal:27017: connection closed"), "connection lost"),
        (RuntimeError("alice:hunter2@db.internal"), "unexpected error"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_reasons_are_sentences_of_our_own(error: Exception, sentence: str) -> None:
    assert reason(error, 0.5) == sentence


def test_reason_is_found_behind_the_error_that_wraps_it() -> None:
    error = RuntimeError("wrapped")
    error.__cause__ = ConnectionRefusedError(errno.ECONNREFUSED, "db.internal")

    assert reason(error, 0.5) == "connection refused"


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2025, 11, 17, 10, 30, tzinfo=UTC), "2025-11-17T10:30:00.000Z"),
        (datetime(2025, 11, 17, 10, 30, 0, 123999, tzinfo=UTC), "2025-11-17T10:30:00.123Z"),
        (datetime(2025, 11, 17, 12, 30, tzinfo=timezone(timedelta(hours=2))), "2025-11-17T10:30:00.000Z"),
    ],
    ids=["whole second", "microseconds", "other time zone"],
)
def test_timestamp(moment: datetime, expected: str) -> None:
    assert timestamp(moment) == expected


async def test_a_pool_of_mongodb_that_is_in_use_is_ready(freezable_settings: Settings) -> None:
    tiny = freezable_settings.model_copy(update={"mongodb_max_pool_size": 1})
    blocked = {"failCommands": ["count"], "blockConnection": True, "blockTimeMS": 60_000}
    async with open_stores(tiny) as stores:
        await stores.spare_mongo.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=blocked)
        waiting = [asyncio.create_task(stores.database.command("count", "designs")) for _ in range(2)]
        try:
            await until(lambda: bool(stores.mongo.commands))
            health = await store.check(stores, timeout=1.5, detailed=True)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
            await stores.spare_mongo.admin.command("configureFailPoint", "failCommand", mode="off")

    assert health.mongodb.error is None
    assert health.mongodb.server is not None
