"""Fixtures for every test: servers once a session, a clean database for each test that uses one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import structlog
from pydantic import SecretStr
from pymongo import AsyncMongoClient
from starlette.applications import Starlette

from api.accounts import passwords
from api.config.settings import Settings
from api.embedded.servers import EmbeddedStores
from api.error_codes import ErrorCode
from api.http.application import create_app
from api.http.responses.answer import Answer
from api.schema import schema
from api.stores.coalescing import Coalescer
from api.stores.mongodb.client import MongoDatabase, mongo_database
from api.stores.stores import Stores, open_stores
from documents import collection
from migrations.runner import upgrade
from tests.execution.both import Both, standing_in
from tests.support import servers
from tests.support.applications import running
from tests.support.clients import mend_clients
from tests.support.signing_in import as_admin
from tests.support.stores import engines
from tests.support.stores.compiled import compiled_once
from tests.support.stores.distributed import distribute
from tests.support.stores.lasting import LastingStores
from tests.support.stores.shared_values import SharedValues
from tests.support.stores.unindexed import drop_indexes, make_collections
from tests.support.world import OPEN, WALLED, World, living, walled

mend_clients()


@pytest.fixture(scope="session")
def both_executors(request: pytest.FixtureRequest) -> Iterator[Both]:
    """What stands in for the application's executor, see tests/execution/both.py."""
    with standing_in(request.config.getoption("--executor")) as both:
        yield both


@pytest.fixture(autouse=True)
def equal_executions(request: pytest.FixtureRequest, both_executors: Both) -> Iterator[None]:
    """Each operation that a test sends must be answered alike by both executors, and not be left to graphql-core."""
    both_executors.comparing = request.node.get_closest_marker("executed_once") is None
    both_executors.differences.clear()
    fallbacks = schema.executor.fallbacks.copy()
    yield
    assert both_executors.differences == []
    if request.node.get_closest_marker("executed_by_core") is None:
        assert schema.executor.fallbacks == fallbacks


@pytest.fixture(autouse=True)
def listed_codes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every code that a test is answered stands in the schema."""
    answered: set[Any] = set()
    content = Answer.content

    def noted(answer: Answer) -> bytes:
        answered.update(error["extensions"]["code"] for error in answer.errors)
        return content(answer)

    monkeypatch.setattr(Answer, "content", noted)
    yield
    assert answered <= ErrorCode.__members__.keys()


@pytest.fixture(autouse=True)
def shared_values(monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedValues]:
    """What queries may share stays as it was read: nothing changes a row or a document in place."""
    shared = SharedValues()
    monkeypatch.setattr(Coalescer, "read", shared.noting(Coalescer.read))
    yield shared
    assert shared.changed() == []


@pytest.fixture(autouse=True)
def cheap_bcrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done for passwords that are wrong takes as long as a hash of the original service: 60 ms of work."""
    monkeypatch.setattr(passwords, "_BCRYPT_COST", 4)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """The event loop that `serve` has."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session", autouse=True)
def plain_tracebacks() -> None:
    """structlog's own renderer prints the variables of every frame, which takes seconds under coverage."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
    )


@pytest.fixture(scope="session", autouse=True)
def compiled_statements() -> Iterator[None]:
    """Statements are compiled once, and not by each test's application anew."""
    with compiled_once():
        yield


@pytest.fixture(scope="session")
def own_stores() -> Iterator[EmbeddedStores]:
    """The suite's servers, with tables and collection made."""
    with servers.throwaway_stores() as stores:
        asyncio.run(servers.assert_own(stores))
        yield stores


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest, own_stores: EmbeddedStores) -> Iterator[str]:
    if request.config.getoption("--postgres") in ("citus", "distributed"):
        with engines.citus() as url:
            yield url
        return
    assert own_stores.database_url is not None
    yield own_stores.database_url


@pytest.fixture(scope="session")
def mongodb_url(request: pytest.FixtureRequest, own_stores: EmbeddedStores) -> Iterator[str]:
    if request.config.getoption("--mongodb") == "documentdb":
        with engines.documentdb() as uri:
            yield uri
        return
    assert own_stores.mongodb_uri is not None
    yield own_stores.mongodb_uri


@pytest.fixture(scope="session")
def settings(
    request: pytest.FixtureRequest, postgres_url: str, mongodb_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Development settings of the suite's servers, which are migrated; nothing comes from a `.env`."""
    settings = Settings(
        _env_file=None,
        environment="development",
        host="127.0.0.1",
        port=0,
        workers=1,
        log_level="warning",
        data_dir=tmp_path_factory.mktemp("data"),
        database_url=SecretStr(postgres_url),
        mongodb_uri=SecretStr(mongodb_url),
        mongodb_database=None,
        auth_secret=SecretStr("a secret of the tests, with 32 bytes and more"),
        # of a busy machine; tests of failing stores, and of shedding, have their own
        breaker_probe_timeout=20.0,
        mongodb_selection_timeout=20.0,
        max_queue_time=5.0,
        password_hash_memory=32,
        password_hash_time=1,
        sign_in_limit_account="1000/second",
        sign_in_limit_address="1000/second",
        search_indexing=False,  # tests of search follow by themselves
        report_cost=False,  # tests of what is answered compare whole bodies
    )
    upgrade(settings)
    if request.config.getoption("--postgres") == "distributed":
        distribute(settings)
    return settings


@pytest.fixture(scope="session")
async def delete_everything(
    request: pytest.FixtureRequest, settings: Settings, anyio_backend: str
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Empties both stores, over connections of its own that last the session."""
    assert settings.postgres_url is not None
    assert settings.mongodb_url is not None
    connection = await asyncpg.connect(settings.postgres_url)
    async with AsyncMongoClient[dict[str, Any]](settings.mongodb_url) as client:
        database = mongo_database(settings, client)
        make: Callable[[MongoDatabase], Awaitable[object]] = collection.ensure
        embedded = request.config.getoption("--mongodb") == "embedded"
        if embedded:
            await drop_indexes(database)
            make = make_collections
        yield lambda: servers.delete_everything(connection, database, make, counted=embedded)
    await connection.close()


@pytest.fixture
async def clean_stores(delete_everything: Callable[[], Awaitable[None]], anyio_backend: str) -> None:
    """Nothing in either store when the test starts."""
    await delete_everything()


@pytest.fixture(scope="module")
def world_settings(settings: Settings) -> Settings:
    """Settings of `worlds`, for modules that need others."""
    return settings


@pytest.fixture(scope="module")
async def worlds(
    world_settings: Settings, delete_everything: Callable[[], Awaitable[None]], anyio_backend: str
) -> AsyncIterator[Mapping[str, World]]:
    """One world for all tests of a module: the same objects without and with row-level security."""
    await delete_everything()
    async with living(world_settings) as world, walled(world) as behind_the_wall:
        yield {OPEN: world, WALLED: behind_the_wall}


@pytest.fixture
def world(request: pytest.FixtureRequest, worlds: Mapping[str, World]) -> World:
    """The module's world without row-level security, or the one that an indirect parameter names."""
    return worlds[getattr(request, "param", OPEN)]


@pytest.fixture(scope="session")
async def lasting_stores(settings: Settings, anyio_backend: str) -> AsyncIterator[LastingStores]:
    """Connections to both stores that many tests have, one after the other."""
    lasting = LastingStores(settings)
    yield lasting
    await lasting.close()


@pytest.fixture
async def opened_stores(settings: Settings, clean_stores: None, anyio_backend: str) -> AsyncIterator[Stores]:
    """Connections to both stores that no application has."""
    async with open_stores(settings) as stores:
        yield stores


@pytest.fixture
def stores(request: pytest.FixtureRequest) -> Stores:
    """Both stores, open and empty: the application's own connections where the test has an application."""
    if "app" in request.fixturenames:
        of_the_application: Stores = request.getfixturevalue("app").state.stores
        return of_the_application
    opened: Stores = request.getfixturevalue("opened_stores")
    return opened


@pytest.fixture
async def app(
    request: pytest.FixtureRequest,
    settings: Settings,
    clean_stores: None,
    lasting_stores: LastingStores,
    anyio_backend: str,
) -> AsyncIterator[Starlette]:
    """The application inside its lifespan, on empty stores; `app.state.stores` are its connections.

    They last from test to test, but for those that are marked `own_connections`.
    """
    app = create_app(settings)
    async with contextlib.AsyncExitStack() as running:
        with contextlib.ExitStack() as starting:
            if request.node.get_closest_marker("own_connections") is None:
                starting.enter_context(lasting_stores.standing_in(await lasting_stores.lend()))
            await running.enter_async_context(app.router.lifespan_context(app))
        yield app


@pytest.fixture
async def client(app: Starlette, anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application that is nobody's, without a socket between them."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client


@pytest.fixture
async def elsewhere(settings: Settings, app: Starlette, anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a second instance on the same stores."""
    async with running(settings) as (_, client):
        yield client


@pytest.fixture
async def locks(postgres_url: str, anyio_backend: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection that stands in the way of others."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


@pytest.fixture
async def admin(app: Starlette, anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that may see everything, for tests of what is read and not of who reads it.

    Its account has no row, and its requests cost no statement to tell who is asking. What it writes would have
    nobody as its author: mutations are for those of `tests.support.signing_in`.
    """
    transport = httpx.ASGITransport(app=app)
    base = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")
    async with base, as_admin(base, app) as admin:
        yield admin


@pytest.fixture
def server(settings: Settings, clean_stores: None, tmp_path: Path) -> Iterator[servers.Server]:
    """A `fashion-wallet serve` process on empty stores: `.url`, `.process`."""
    with servers.serving("serve", "--port", "0", folder=tmp_path, variables=servers.environment(settings)) as running:
        yield running
