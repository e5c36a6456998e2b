"""Running migrations: alone, within bounds, and with errors that tell what to do."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import threading
import uuid
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from pydantic import SecretStr

from api.config.settings import ConfigurationError, Settings
from api.stores.postgres.engine import postgres_engine
from migrations import runner
from migrations.connection import LOCK_KEY
from migrations.errors import MigrationError, MigrationRunning
from migrations.extensions import require_extension
from migrations.roles import create_application_role
from models import SCHEMAS
from tests.support.stores import original
from tests.support.stores.databases import HEAD, REVISIONS, scalar, sql

USERS = "1daa78b4c618"


def test_a_second_run_finds_nothing_to_do(settings: Settings) -> None:
    runner.upgrade(settings)
    assert [line for line in runner.upgrade(settings) if "skipped" not in line] == []


def test_two_runs_at_once_both_succeed(settings: Settings) -> None:
    # given
    lines: list[list[str]] = []
    start = threading.Barrier(2)

    def run() -> None:
        start.wait()
        lines.append(runner.upgrade(settings))

    # when
    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # then
    assert sorted(sum("applied" in line for line in done) for done in lines) == [0, len(REVISIONS)]


@contextlib.asynccontextmanager
async def _holding(settings: Settings, statement: str) -> AsyncIterator[None]:
    connection = await asyncpg.connect(settings.postgres_url)
    try:
        await connection.execute("BEGIN")
        await connection.execute(statement)
        yield
    finally:
        await connection.close()


async def _upgrade_while(settings: Settings, statement: str, *, wait: float = 5, lock_timeout: float = 5) -> None:
    async with _holding(settings, statement):
        await asyncio.to_thread(runner.upgrade, settings, wait=wait, lock_timeout=lock_timeout)


def test_a_run_that_is_held_up_by_another_gives_up(settings: Settings) -> None:
    with pytest.raises(MigrationRunning, match=re.escape("another migration of this database is running")):
        asyncio.run(_upgrade_while(settings, f"SELECT pg_advisory_lock({LOCK_KEY})", wait=0.1))
    assert scalar(settings, "SELECT to_regclass('shared.users')") is None


def test_a_table_in_use_is_waited_for_within_bounds(settings: Settings) -> None:
    sql(settings, original.USERS)
    with pytest.raises(MigrationError, match="a table is in use and was not released in time"):
        asyncio.run(_upgrade_while(settings, "SELECT count(*) FROM shared.users", lock_timeout=0.1))
    assert scalar(settings, "SELECT to_regclass('shared.alembic_version')") is None


async def _require_extension(settings: Settings, name: str) -> None:
    engine = postgres_engine(settings)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(require_extension, name)
    finally:
        await engine.dispose()


def test_a_required_extension_that_the_server_lacks_is_named(settings: Settings) -> None:
    with pytest.raises(MigrationError, match="has no extension not_there, which search needs"):
        asyncio.run(_require_extension(settings, "not_there"))


def test_a_required_extension_that_the_user_may_not_create_is_named(settings: Settings) -> None:
    # given
    role = f"role_{uuid.uuid4().hex}"
    sql(settings, f"CREATE ROLE {role} LOGIN")
    assert settings.postgres_url is not None
    limited = settings.model_copy(
        update={"database_url": SecretStr(re.sub(r"//[^@]*@", f"//{role}@", settings.postgres_url))}
    )
    sql(settings, f"CREATE SCHEMA shared AUTHORIZATION {role}")
    for schema in SCHEMAS[1:]:
        sql(settings, f"CREATE SCHEMA {schema} AUTHORIZATION {role}")
    try:
        # when
        with pytest.raises(MigrationError, match='let an administrator run: CREATE EXTENSION "pg_trgm"'):
            runner.upgrade(limited)
        # then: with the extension there, the same user can go on
        sql(settings, "CREATE EXTENSION pg_trgm")
        lines = runner.upgrade(limited)
        assert runner.show(limited).current == HEAD
        assert [line for line in lines if "fashion_wallet_app" in line] != []  # what an administrator has left to do
    finally:
        # by its name, since Citus 14.0.1 crashes at CURRENT_USER here
        me = scalar(settings, "SELECT quote_ident(current_user)")
        sql(settings, f"DROP OWNED BY {role}", f"REASSIGN OWNED BY {role} TO {me}", f"DROP ROLE {role}")


def test_show_tells_current_pending_and_the_collection(settings: Settings) -> None:
    # given
    before = runner.show(settings)
    runner.upgrade(settings, USERS)

    # when
    state = runner.show(settings)

    # then
    assert before.current is None
    assert len(before.pending) == len(REVISIONS)
    assert before.collection is not None
    assert before.collection.exists is False
    assert scalar(settings, "SELECT count(*) FROM shared.alembic_version") == 1
    assert state.current == USERS
    assert [f"{revision.id} {revision.message}" for revision in state.pending] == REVISIONS[2:]
    assert state.collection is not None
    assert state.collection.is_current


def test_show_writes_nothing(settings: Settings) -> None:
    runner.show(settings)
    assert scalar(settings, f"SELECT count(*) FROM pg_namespace WHERE nspname IN {SCHEMAS}") == 0


def test_an_unknown_revision_is_one_line(settings: Settings) -> None:
    with pytest.raises(MigrationError) as caught:
        runner.upgrade(settings, "nowhere")
    assert str(caught.value) == "Can't locate revision identified by 'nowhere'"


def test_a_database_from_a_newer_version_is_named(migrated: Settings) -> None:
    sql(migrated, "UPDATE shared.alembic_version SET version_num = 'feedfacefeed'")
    message = (
        "PostgreSQL is at revision feedfacefeed, which another version of this program has applied and this one "
        "does not have: run that version, or use another database"
    )
    for refused in (runner.upgrade, lambda at: runner.downgrade(at, "base"), lambda at: runner.generate(at, "x")):
        with pytest.raises(MigrationError) as caught:
            refused(migrated)
        assert str(caught.value) == message
    assert runner.show(migrated).postgres_error == message
    assert scalar(migrated, "SELECT version_num FROM shared.alembic_version") == "feedfacefeed"
    error = runner.show(migrated).postgres_error
    assert error is not None
    assert "feedfacefeed" in error


# pymongo leaves the socket open when its monitor is cancelled while it connects
LEFT_OPEN = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def mongodb_down(settings: Settings) -> Iterator[Settings]:
    """The settings, with a MongoDB that refuses connections."""
    uri = SecretStr("mongodb://someone:hunter2@127.0.0.1:1")
    yield settings.model_copy(update={"mongodb_uri": uri, "mongodb_selection_timeout": 0.1})
    gc.collect()


@LEFT_OPEN
def test_a_store_that_is_down_is_one_line_without_the_password(mongodb_down: Settings) -> None:
    down = mongodb_down.model_copy(update={"database_url": SecretStr("postgresql://postgres:hunter2@127.0.0.1:1/none")})
    state = runner.show(down)
    for error in (state.postgres_error, state.mongodb_error):
        assert error is not None
        assert "\n" not in error
        assert "hunter2" not in error
    with pytest.raises(MigrationError, match=r"^PostgreSQL: .*[Cc]onnect"):
        runner.upgrade(down)


@LEFT_OPEN
def test_with_mongodb_down_postgres_is_left_as_it_is(settings: Settings, mongodb_down: Settings) -> None:
    with pytest.raises(MigrationError, match=r"^MongoDB: "):
        runner.upgrade(mongodb_down)
    assert scalar(settings, "SELECT to_regclass('shared.users')") is None


def test_no_server_configured_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="is not set"):
        runner.upgrade(Settings(_env_file=None, database_url=None, mongodb_uri=None))


async def _create_role(settings: Settings, name: str, member: str) -> bool:
    assert settings.postgres_url is not None
    url = re.sub(r"//[^@]*@", f"//{member}@", settings.postgres_url)
    engine = postgres_engine(settings.model_copy(update={"database_url": SecretStr(url)}))
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(create_application_role, name)
    finally:
        await engine.dispose()


@pytest.mark.parametrize("allowed", [True, False])
def test_the_application_role_is_made_where_the_user_may(settings: Settings, allowed: bool) -> None:
    # given
    name, member = f"app_{uuid.uuid4().hex}", f"role_{uuid.uuid4().hex}"
    sql(settings, f"CREATE ROLE {member} LOGIN {'CREATEROLE' if allowed else ''}")
    try:
        # when
        made = asyncio.run(_create_role(settings, name, member))

        # then
        assert made is allowed
        may_set = (
            "SET" if int(scalar(settings, "SELECT current_setting('server_version_num')")) >= 160_000 else "MEMBER"
        )
        found = sql(settings, f"SELECT rolcanlogin, pg_has_role('{member}', oid, '{may_set}') FROM pg_roles "
                              f"WHERE rolname = '{name}'")  # fmt: skip
        assert [tuple(row) for row in found] == ([(False, True)] if allowed else [])
        if allowed:  # and again: it is there
            assert asyncio.run(_create_role(settings, name, member)) is True
    finally:
        sql(settings, f"DROP ROLE IF EXISTS {name}", f"DROP ROLE {member}")
