"""What benchmarks run on: own stores with data, the API as in production, the baseline, and what processes use."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg
import psutil  # type: ignore[import-untyped]
from pydantic import SecretStr
from pymongo import AsyncMongoClient

from api.config.settings import Settings
from api.embedded.daemons import free_port, is_listening
from api.embedded.servers import EmbeddedStores
from api.ids import encode_id
from api.stores.mongodb.client import mongo_database
from migrations import distributing
from migrations.runner import upgrade
from tests.benchmarks import bulk, load
from tests.benchmarks.operations import Operation
from tests.support.processes import COMMAND
from tests.support.servers import environment, throwaway_stores, wait_until
from tests.support.signing_in import access_token
from tests.support.stores.engines import citus_cluster

PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """A server: where it listens, and its process."""

    url: str
    pid: int

    def cpu(self) -> float:
        """Seconds of CPU that it, its threads and its workers have used, in the kernel too; in clock ticks (10 ms)."""
        return cpu(self.pid)

    def resident(self) -> float:
        """MB of memory that it occupies."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE / 1e6


def cpu(pid: int) -> float:
    """Seconds of CPU of a process and its children, those that have ended included."""
    first = psutil.Process(pid)
    ended = first.cpu_times()
    times = [each.cpu_times() for each in (first, *first.children(recursive=True))]
    return sum(float(each.user + each.system) for each in times) + float(ended.children_user + ended.children_system)


@dataclass
class Bench:
    """Stores with data: so many `rows` a table, and so many `designs`.

    `settings` lead to them; `replayed` to MongoDB through the replaying proxy. `servers` are the processes of the
    stores, by name: of PostgreSQL one, or a coordinator and its workers.
    """

    settings: Settings
    replayed: Settings
    folder: Path
    token: str
    design_id: str
    rows: int
    designs: int
    servers: dict[str, int] = field(default_factory=dict)
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def api(self, *, replay: bool = True, command: Sequence[str] = (COMMAND,), **variables: str) -> Process:
        """`fashion-wallet serve` in production mode, its log in a file; or another command that is given the same."""
        settings = self.replayed if replay else self.settings
        port = free_port()
        given = environment(settings, **UNLIMITED | variables)
        return self._start("api", [*command, "serve", "--port", str(port)], port, given)

    def baseline(self, command: Sequence[str] = (sys.executable,)) -> Process:
        """The hand-written one; `command` is how Python is run."""
        port = free_port()
        assert self.replayed.postgres_url is not None
        assert self.replayed.mongodb_url is not None
        variables = {"DATABASE_URL": self.replayed.postgres_url, "MONGODB_URI": self.replayed.mongodb_url}
        return self._start("baseline", [*command, "-m", "tests.benchmarks.baseline", str(port)], port, variables)

    def request(self, server: Process, operation: Operation) -> bytes:
        """The operation as a whole HTTP request, by whoever sends it."""
        return load.post(server.url, operation.body, self.token if operation.as_admin else None)

    def close(self) -> None:
        """End the processes that were started, before the end of the block."""
        self._stack.close()

    def _start(self, name: str, command: list[str], port: int, variables: dict[str, str]) -> Process:
        pid = self._stack.enter_context(_child(command, port, {**os.environ, **variables}, self.folder / f"{name}.log"))
        return Process(f"http://127.0.0.1:{port}", pid)


UNLIMITED: Final = dict.fromkeys(("RATE_LIMIT_USER", "RATE_LIMIT_ADDRESS"), "1000000000/minute") | {
    "MAX_QUEUE_TIME": "60"
}
"""Metered and timed as in production, but nothing is refused to the one account and address that a benchmark has."""


@contextlib.contextmanager
def bench(
    rows: int, designs: int, say: Callable[[str], Any] = lambda line: None, *, distributed: bool = False
) -> Iterator[Bench]:
    """Stores of its own, with so many rows a table and so many designs; all gone at the end of the block.

    `distributed` is on a Citus cluster of a coordinator and two workers, as `migrate distribute` leaves it.
    """
    with (
        tempfile.TemporaryDirectory(prefix="fashion-wallet-", ignore_cleanup_errors=True) as folder,
        throwaway_stores() as stores,
        contextlib.ExitStack() as stack,
    ):
        assert stores.postgres_pid is not None
        servers = {"PostgreSQL": stores.postgres_pid}
        if distributed:
            cluster = stack.enter_context(citus_cluster())
            stores = replace(stores, database_url=cluster.url)
            names = ("coordinator", *(f"worker {number}" for number in range(1, len(cluster.nodes))))
            servers = {name: node.pid for name, node in zip(names, cluster.nodes, strict=True)}
        settings = _settings(stores)
        upgrade(settings)
        for step, seconds in asyncio.run(bulk.fill(settings, rows, designs)).items():
            say(f"loaded {step} in {seconds:.1f} s")
        if distributed:
            distributing.distribute(settings, say)
        token, design_id = asyncio.run(_actors(settings))
        port = free_port()
        upstream = stores.mongodb_uri
        assert upstream is not None
        own_port = upstream.partition("//")[2].partition("/")[0].rpartition(":")[2]
        command = [sys.executable, "-m", "tests.benchmarks.replay", str(port), own_port]
        stack.enter_context(_child(command, port, dict(os.environ), Path(folder) / "replay.log"))
        replayed = settings.model_copy(
            update={"mongodb_uri": SecretStr(upstream.replace(f":{own_port}/", f":{port}/"))}
        )
        assert stores.mongodb_pid is not None
        servers["MongoDB"] = stores.mongodb_pid
        yield Bench(settings, replayed, Path(folder), token, design_id, rows, designs, servers, stack)


def _settings(stores: EmbeddedStores) -> Settings:
    assert stores.database_url is not None
    assert stores.mongodb_uri is not None
    return Settings(
        _env_file=None,
        environment="production",
        postgres_ssl="disable",
        database_url=SecretStr(stores.database_url),
        mongodb_uri=SecretStr(stores.mongodb_uri),
        auth_secret=SecretStr(secrets.token_hex()),
        access_token_lifetime=24 * 3600,
        statement_timeout=60,
    )


async def _actors(settings: Settings) -> tuple[str, str]:
    """An access token of an admin, and the global id of a published design."""
    assert settings.postgres_url is not None
    session_id = uuid4()
    connection = await asyncpg.connect(settings.postgres_url)
    admin = await connection.fetchval(
        "SELECT id FROM shared.users WHERE role = 'admin' AND is_active AND deleted_at IS NULL LIMIT 1"
    )
    await connection.execute(
        "INSERT INTO shared.account_sessions (id, user_id, expires_at) VALUES ($1, $2, now() + interval '1 day')",
        *(session_id, admin),
    )
    await connection.close()
    async with AsyncMongoClient[dict[str, Any]](settings.mongodb_url) as client:
        where = {"status": "published", "deletedAt": None, "layers.3": {"$exists": True}}
        design = await mongo_database(settings, client)["designs"].find_one(where, ["_id"])
    assert design is not None
    return access_token(settings, admin, session_id), encode_id("Design", design["_id"])


@contextlib.contextmanager
def _child(command: list[str], port: int, variables: dict[str, str], log: Path) -> Iterator[int]:
    """A process that listens on this port; fails with its log where it ends before."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: process.poll() is not None or is_listening(port), f"{command} listens", 300)
        assert process.poll() is None, log.read_text()
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)
