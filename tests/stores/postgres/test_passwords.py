"""PostgreSQL's password from a file or a command: each new connection has the one of now."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from api.config.settings import ConfigurationError, Settings, load_settings
from api.embedded.daemons import Daemon
from api.errors import StoreUnfit, as_app_error
from api.stores.postgres.connector import Connector
from api.stores.postgres.passwords import LONGEST, PasswordSource
from api.stores.startup_errors import describe
from migrations.runner import upgrade
from tests.support.applications import running
from tests.support.graphql import execute
from tests.support.servers import command, environment, is_alive
from tests.support.stores.postgres_server import postgres_server, url_of
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

ACCESS = ("host all postgres all trust", "host all all all scram-sha-256")
COUNT = "{ catalogItems { totalCount } }"


@pytest.fixture(scope="module")
def daemon(settings: Settings) -> Iterator[Daemon]:
    """A migrated server that asks everybody but its superuser for a password."""
    with postgres_server(access=ACCESS) as daemon:
        upgrade(settings.model_copy(update={"database_url": SecretStr(url_of(daemon))}))
        yield daemon


@pytest.fixture
async def superuser(daemon: Daemon, anyio_backend: str) -> Any:
    connection = await asyncpg.connect(url_of(daemon))
    await connection.execute("DROP ROLE IF EXISTS wallet; CREATE ROLE wallet SUPERUSER LOGIN PASSWORD 'first'")
    yield connection
    await connection.close()


def with_file(settings: Settings, daemon: Daemon, file: Path, **changes: Any) -> Settings:
    url = SecretStr(url_of(daemon, user="wallet"))
    return settings.model_copy(update={"database_url": url, "postgres_password_file": file, **changes})


def with_command(settings: Settings, daemon: Daemon, words: str, **changes: Any) -> Settings:
    return with_file(settings, daemon, Path(), postgres_password_file=None, postgres_password_command=words, **changes)


@pytest.mark.parametrize("by", ["file", "command"])
async def test_a_password_is_changed_while_requests_go_on(
    settings: Settings, daemon: Daemon, superuser: Any, tmp_path: Path, by: str
) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    ours = with_file(settings, daemon, file) if by == "file" else with_command(settings, daemon, f"cat {file}")
    done = asyncio.Event()
    async with running(ours, postgres_pool_size=3) as (app, client):
        engine = app.state.stores.engine

        async def ask() -> int:
            asked = 0
            while not done.is_set():
                assert (await execute(client, COUNT))["catalogItems"] == {"totalCount": 0}
                asked += 1
            return asked

        async with engine.connect() as connection:
            old = await connection.scalar(text("SELECT pg_backend_pid()"))
            # opens the connection of the requests: between the next two steps no password would be right
            await execute(client, COUNT)
            asking = asyncio.create_task(ask())
            await superuser.execute("ALTER ROLE wallet PASSWORD 'second'")
            file.write_text("second\r\n")
            # the old one goes on, and a new one is opened beside it and the one of the requests
            assert await connection.scalar(text("SELECT pg_backend_pid()")) == old
            async with engine.connect() as one, engine.connect() as another:
                pids = [await each.scalar(text("SELECT pg_backend_pid()")) for each in (one, another)]
                assert len({*pids, old}) == 3
        done.set()
        assert await asking > 0
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url_of(daemon, user="wallet"), password="first")


async def test_a_password_that_changes_while_signing_in_is_read_again(
    settings: Settings, daemon: Daemon, superuser: Any, tmp_path: Path
) -> None:
    # the first run prints what was right until then
    words = f"sh -c 'if [ -e {tmp_path}/ran ]; then echo first; else touch {tmp_path}/ran; echo before; fi'"
    connection = await Connector(with_command(settings, daemon, words))()
    assert await connection.fetchval("SELECT current_user") == "wallet"
    await connection.close()


async def test_a_wrong_password_is_the_servers_error(
    settings: Settings, daemon: Daemon, superuser: Any, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("wrong")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await Connector(with_file(settings, daemon, file))()


async def test_a_command_knows_who_signs_in_where(
    settings: Settings, daemon: Daemon, superuser: Any, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    words = f"""sh -c 'echo "$PGUSER $PGHOST $PGPORT $PGDATABASE" > {said}; echo first'"""
    connection = await Connector(with_command(settings, daemon, words))()
    await connection.close()
    assert said.read_text() == f"wallet 127.0.0.1 {daemon.port} postgres\n"


async def test_a_command_does_not_hold_up_the_loop(
    settings: Settings, daemon: Daemon, superuser: Any, tmp_path: Path
) -> None:
    """It waits for a file that the event loop makes when it has its turn."""
    asked, go = tmp_path / "asked", tmp_path / "go"
    words = f"sh -c 'touch {asked}; until [ -e {go} ]; do sleep 0.02; done; echo first'"
    connecting = asyncio.create_task(Connector(with_command(settings, daemon, words))())
    while not asked.exists():
        await pause()
    assert not connecting.done()
    go.touch()
    await (await connecting).close()


async def test_a_command_that_does_not_end_is_ended_with_its_children(
    settings: Settings, daemon: Daemon, tmp_path: Path
) -> None:
    child = tmp_path / "child"
    words = f"sh -c 'sleep 1000 & echo $! > {child}; wait'"
    with pytest.raises(StoreUnfit, match="PostgreSQL is not available") as caught:
        await Connector(with_command(settings, daemon, words, postgres_password_timeout=0.3))()
    assert describe(caught.value) == "PostgreSQL: POSTGRES_PASSWORD_COMMAND: the command did not end within 0.3 s"
    assert not caught.value.lasts
    number = int(child.read_text())
    while is_alive(number):
        await pause()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("/nowhere/to/be/found", "the command can't be run (No such file or directory)"),
        ("false", "the command ended with code 1"),
        ("true", "what the command printed is empty"),
        ("echo", "what the command printed is empty"),
        (r"printf '\377'", "what the command printed is not UTF-8"),
        (r"printf 'a\000b'", "what the command printed has a null byte"),
        (f"head -c {LONGEST + 1} /dev/zero", f"what the command printed is longer than a password ({LONGEST} bytes)"),
    ],
)
async def test_a_command_without_a_password(settings: Settings, daemon: Daemon, words: str, reason: str) -> None:
    with pytest.raises(StoreUnfit) as caught:
        await Connector(with_command(settings, daemon, words))()
    assert describe(caught.value) == f"PostgreSQL: POSTGRES_PASSWORD_COMMAND: {reason}"
    told = as_app_error(caught.value)
    assert told is not None
    assert (told.code.name, told.message) == ("STORE_UNAVAILABLE", "PostgreSQL is not available; try again later.")


async def health_of(client: httpx.AsyncClient) -> str:
    """What PostgreSQL's check says is wrong."""
    error: str = (await client.get("/health/database")).json()["checks"]["postgres"]["error"]
    return error


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "the file can't be read (No such file or directory)"), ("\n", "the file is empty")]
)
async def test_a_file_without_a_password(
    settings: Settings, daemon: Daemon, superuser: Any, tmp_path: Path, content: str | None, reason: str
) -> None:
    file = tmp_path / "password"
    file.write_text("first")
    sentence = f"POSTGRES_PASSWORD_FILE: {reason}"
    async with running(with_file(settings, daemon, file)) as (_, client):
        if content is None:
            file.unlink()
        else:
            file.write_text(content)
        await superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'wallet'")
        answer = (await client.post("/graphql", json={"query": COUNT})).json()
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["STORE_UNAVAILABLE"]
        assert "PASSWORD" not in str(answer)
        while (error := await health_of(client)) == "connection lost":  # the one that it had
            await pause()
        assert error == sentence
        # and it is all right again once it is back
        file.write_text("first")
        assert await execute(client, COUNT) == {"catalogItems": {"totalCount": 0}}


def test_serve_says_what_is_wrong_with_the_file(settings: Settings, daemon: Daemon, tmp_path: Path) -> None:
    file = tmp_path / "password"
    variables = environment(with_file(settings, daemon, file))
    with command("serve", "--port", "0", folder=tmp_path, variables=variables) as server:
        assert server.process.wait(60) != 0
    assert "POSTGRES_PASSWORD_FILE: the file can't be read (No such file or directory)" in server.text()
    assert "Traceback" not in server.text()


async def test_connections_that_are_opened_together_share_what_is_read() -> None:
    """A password that began to be read before somebody asked isn't for them."""
    begun, go = [threading.Event() for _ in range(3)], [threading.Event() for _ in range(3)]
    reads: list[int] = []

    def read() -> str:
        number = len(reads)
        reads.append(number)
        begun[number].set()
        assert go[number].wait(30)
        return f"password {number}"

    source = PasswordSource(read)
    early = [asyncio.create_task(source.read()) for _ in range(3)]
    while not begun[0].is_set():
        await pause()
    late = [asyncio.create_task(source.read()) for _ in range(3)]
    await pause()
    late[0].cancel()  # and takes nobody with it
    go[0].set()
    go[1].set()
    assert await asyncio.gather(*early) == ["password 0"] * 3
    assert await asyncio.gather(*late[1:]) == ["password 1"] * 2
    assert late[0].cancelled()
    assert len(reads) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"postgres_password": "hunter2", "postgres_password_file": "x"},
            "POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are set, and PostgreSQL has one password",
        ),
        (
            {"postgres_password_command": "x", "postgres_password_file": "x"},
            "POSTGRES_PASSWORD_FILE and POSTGRES_PASSWORD_COMMAND are set, and PostgreSQL has one password",
        ),
        (
            {"database_url": "postgresql://u:hunter2@db/x", "postgres_password_file": "x"},
            "POSTGRES_PASSWORD_FILE is set, and DATABASE_URL has a password, too",
        ),
        (
            {"migration_database_url": "postgresql://u@db/x?password=hunter2", "postgres_password_command": "x"},
            "POSTGRES_PASSWORD_COMMAND is set, and MIGRATION_DATABASE_URL has a password, too",
        ),
        ({"postgres_password_command": "echo 'x"}, "POSTGRES_PASSWORD_COMMAND: no closing quotation"),
        ({"postgres_password_command": "  "}, "POSTGRES_PASSWORD_COMMAND is empty"),
    ],
)
def test_there_is_one_password(given: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(_env_file=None, **given)
    assert str(caught.value) == message
