"""Behind a pooler in transaction mode: everybody gets their own rows, and nothing of a session stays behind."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.config.settings import Settings
from api.errors import StoreUnfit, as_app_error
from api.stores.postgres.connector import Connector
from api.stores.startup_errors import describe
from api.stores.stores import Stores, open_stores
from migrations.connection import LOCK_KEY, exclusive_connection
from migrations.errors import MigrationRunning
from migrations.runner import downgrade, upgrade
from models.external_pooler import ask
from tests.support.applications import running
from tests.support.factories.users import create_user
from tests.support.graphql import execute, gid
from tests.support.servers import command, environment, serving
from tests.support.signing_in import client_of, signed_in
from tests.support.stores.databases import HEAD, fresh_database, scalar
from tests.support.stores.pgbouncer import IGNORED, pgbouncer

pytestmark = pytest.mark.anyio

NOTHING = ["MongoDB: index idx_designs_text: skipped, this server makes no text indexes"]
SETTING = "set POSTGRES_POOLER=transaction"


@pytest.fixture(scope="module")
def pooler_url(postgres_url: str) -> Iterator[str]:
    """The suite's database through a PgBouncer as Debian configures it, but for the mode and two connections."""
    with pgbouncer(postgres_url) as url:
        yield url


def through(settings: Settings, url: str, **changes: Any) -> Settings:
    return settings.model_copy(update={"database_url": SecretStr(url), "postgres_pooler": "transaction", **changes})


@pytest.fixture
def pooled(settings: Settings, pooler_url: str) -> Settings:
    return through(settings, pooler_url)


@pytest.fixture
async def stores_behind(pooled: Settings, clean_stores: None) -> AsyncIterator[Stores]:
    async with open_stores(pooled) as stores:
        yield stores


@pytest.mark.parametrize("ignored", [IGNORED, None], ids=["startup parameters ignored", "refused"])
@pytest.mark.parametrize("robin", ["0", "1"], ids=["the last one first", "by turns"])
async def test_a_pooler_without_the_setting_is_refused(
    settings: Settings, postgres_url: str, ignored: str | None, robin: str
) -> None:
    options = {"server_round_robin": robin} | ({"ignore_startup_parameters": ignored} if ignored else {})
    with pgbouncer(postgres_url, size=3, **options) as url:
        unset = through(settings, url, postgres_pooler="none")
        # whoever shares it: others keep its connections open and busy
        others = [Connector(through(settings, url)) for _ in range(3)]
        for other in [await connect() for connect in others]:
            assert (await ask(other, "SELECT 1"))[0] == 1
            await other.close()
        async with open_stores(unset) as stores:
            with pytest.raises(StoreUnfit) as caught:
                await stores.engine.connect()

    assert caught.value.lasts
    assert SETTING in (describe(caught.value) or "")
    told = as_app_error(caught.value)
    assert told is not None
    assert (told.code.name, told.message) == ("STORE_UNAVAILABLE", "PostgreSQL is not available; try again later.")


async def test_a_pooler_by_the_session_needs_no_setting(settings: Settings, postgres_url: str) -> None:
    with pgbouncer(postgres_url, mode="session", size=10, ignore_startup_parameters=IGNORED) as url:
        unset = through(settings, url, postgres_pooler="none")
        async with open_stores(unset) as stores, stores.engine.connect() as connection:
            assert await connection.scalar(text("SELECT 41 + 1")) == 42
        # and may have it
        async with open_stores(through(settings, url)) as stores, stores.engine.connect() as connection:
            assert await connection.scalar(text("SHOW statement_timeout")) == "10s"


def test_serve_says_what_to_set(settings: Settings, clean_stores: None, postgres_url: str, tmp_path: Path) -> None:
    with pgbouncer(postgres_url, ignore_startup_parameters=IGNORED) as url:
        variables = environment(settings, DATABASE_URL=url)
        with command("serve", "--port", "0", folder=tmp_path, variables=variables) as server:
            assert server.process.wait(60) != 0
        lines = [line for line in server.text().splitlines() if SETTING in line]
        assert len(lines) == 1, server.text()
        assert "Traceback" not in server.text()
        with serving("serve", "--port", "0", folder=tmp_path, variables=variables | {"POSTGRES_POOLER": "transaction"}):
            pass


async def test_nothing_is_prepared_outside_of_a_transaction(pooled: Settings) -> None:
    connection = await Connector(pooled)()
    for statement in (connection.fetch("SELECT 1"), connection.prepare("SELECT 1"), connection.execute("SELECT $1", 1)):
        with pytest.raises(asyncpg.InterfaceError, match="outside of a transaction"):
            await statement
    async with connection.transaction():
        assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


@pytest.mark.parametrize("walls", [False, True], ids=["open", "row-level security"])
async def test_everybody_gets_their_own_rows(pooled: Settings, clean_stores: None, walls: bool) -> None:
    """Three instances with ten connections each on two of the server's: statements of every shape at once."""
    settings = pooled.model_copy(update={"row_level_security": walls})
    async with running(settings) as (app, one), running(settings) as (_, two), running(settings) as (_, three):
        stores: Stores = app.state.stores
        users = [await create_user(stores, first_name=f"Number {number}") for number in range(12)]
        admin = await create_user(stores, role="admin", first_name="Admin")
        shapes = (
            "query Q($id: ID!) {{ node(id: $id) {{ id ... on User {{ {0} }} }} }}",
            "query Q($id: ID!) {{ nodes(ids: [$id]) {{ id ... on User {{ {0} }} }} }}",
        )
        fields = (
            "firstName lastName",
            "firstName role",
            "firstName",
            "firstName email isActive",
            "firstName createdAt",
        )

        async def look(client: httpx.AsyncClient, number: int) -> tuple[int, str]:
            user = users[number % len(users)]
            query = shapes[number % 2].format(fields[number % len(fields)])
            data = await execute(client, query, id=gid(user))
            found = data["node"] if "node" in data else data["nodes"][0]
            return number, found["firstName"]

        clients = [await client_of(client, stores, admin) for client in (one, two, three)]
        for _ in range(3):
            answers = await asyncio.gather(*(look(clients[number % 3], number) for number in range(90)))
            assert answers == [(number, f"Number {number % len(users)}") for number in range(90)]


async def test_settings_hold_in_each_transaction_and_end_with_it(stores_behind: Stores, pooler_url: str) -> None:
    shown = text(
        "SELECT current_setting('statement_timeout'), current_setting('jit'), current_setting('timezone'),"
        " current_setting('application_name')"
    )
    for engine in (stores_behind.engine, stores_behind.reads):
        async with engine.connect() as connection:
            assert (await connection.execute(shown)).one() == ("10s", "off", "UTC", "fashion-wallet")
    async with AsyncSession(stores_behind.engine) as session, session.begin():
        assert (await session.execute(shown)).one() == ("10s", "off", "UTC", "fashion-wallet")
    stranger = await asyncpg.connect(pooler_url, statement_cache_size=0)
    for _ in range(4):
        assert await stranger.fetchval("SHOW statement_timeout") == "0"
        assert await stranger.fetchval("SHOW jit") == "on"
        assert await stranger.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0
    await stranger.close()


async def test_the_server_ends_what_runs_too_long(settings: Settings, pooler_url: str, clean_stores: None) -> None:
    async with open_stores(through(settings, pooler_url, statement_timeout=0.2)) as stores:
        async with stores.engine.connect() as connection:
            with pytest.raises(Exception, match="statement timeout"):
                await connection.execute(text("SELECT pg_sleep(30)"))
        async with stores.reads.connect() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1


async def test_writes_and_claims_of_keys_are_committed(pooled: Settings, clean_stores: None, postgres_url: str) -> None:
    async with running(pooled) as (app, client):
        mine, _ = await signed_in(client, app.state.stores)
        create = "mutation ($input: CreateAvatarInput!) { createAvatar(input: $input) { errors { code } } }"
        headers = {"idempotency-key": str(uuid.uuid4())}
        body = {"query": create, "variables": {"input": {"name": "Me"}}}
        first = await mine.post("/graphql", json=body, headers=headers)
        again = await mine.post("/graphql", json=body, headers=headers)
    assert first.json()["data"]["createAvatar"]["errors"] == []
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    direct = await asyncpg.connect(postgres_url)
    assert await direct.fetchval("SELECT count(*) FROM avatar.avatars") == 1
    await direct.close()


async def test_a_cancelled_read_leaves_a_connection_that_is_right(stores_behind: Stores) -> None:
    async def sleep() -> None:
        async with stores_behind.reads.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(5)"))

    sleeping = [asyncio.create_task(sleep()) for _ in range(2)]
    await asyncio.sleep(0)
    for task in sleeping:
        task.cancel()
    await asyncio.wait(sleeping)
    async with stores_behind.reads.connect() as connection:
        assert await connection.scalar(text("SELECT 7")) == 7


def test_migrations_leave_no_lock_behind(mongodb_url: str, postgres_url: str) -> None:
    with fresh_database(postgres_url, mongodb_url) as direct, pgbouncer(postgres_url) as url:
        assert direct.postgres_url is not None
        name = direct.postgres_url.rpartition("/")[2]
        pooled = through(direct, f"{url.rpartition('/')[0]}/{name}")

        assert upgrade(pooled, wait=1)[0].startswith("PostgreSQL: applied")
        assert upgrade(pooled, wait=1) == NOTHING
        downgrade(pooled, "-1", wait=1)
        upgrade(pooled, wait=1)
        assert scalar(direct, "SELECT version_num FROM shared.alembic_version") == HEAD
        assert scalar(direct, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0

        async def while_another_runs() -> None:
            async with exclusive_connection(pooled, wait=1):
                await asyncio.to_thread(upgrade, pooled, wait=0.1)

        with pytest.raises(MigrationRunning):
            asyncio.run(while_another_runs())
        assert upgrade(pooled, wait=1) == NOTHING


def test_migrations_run_on_their_own_url(mongodb_url: str, postgres_url: str) -> None:
    with fresh_database(postgres_url, mongodb_url) as direct, pgbouncer(postgres_url) as url:
        assert direct.database_url is not None
        settings = through(direct, url, postgres_pooler="none", migration_database_url=direct.database_url)
        upgrade(settings)
        assert scalar(direct, "SELECT version_num FROM shared.alembic_version") == HEAD
        assert scalar(direct, f"SELECT count(*) FROM pg_locks WHERE objid = {LOCK_KEY & 0xFFFFFFFF}") == 0
