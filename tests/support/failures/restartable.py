"""Both stores as processes that a test kills, freezes and starts again on their ports. What they acknowledge is kept
through the death of the process, though not of the machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]
from pydantic import SecretStr

from api.config.settings import Settings
from api.embedded import servers as embedded
from api.embedded.daemons import HOST, Daemon, DaemonError
from api.embedded.postgres import create_database, postgres_daemon
from tests.support.failures.freezing import freeze
from tests.support.servers import POSTGRES_BIN
from tests.support.stores.cluster import copy_cluster
from tests.support.stores.engines import Cluster, citus_cluster
from tests.support.stores.folders import throwaway_folder
from tests.support.stores.nodes import Node
from tests.support.stores.secantus import secantus, uri_of

START: Final = 60.0
"""Seconds that a server has for its start."""
FINISHES: Final = "citus.recover_2pc_interval = '1s'"
"""A coordinator's setting: how often it looks for what a commit has left half done, which is each minute else."""


class Restartable:
    """One server. Its methods block: those that wait are for threads, except `start`, whose thread it dies with."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._port = 0

    @property
    def port(self) -> int:
        return self._port

    def start(self) -> None:
        """Start it, on its port if it has had one. Does not wait for it."""
        self._daemon.start(self._port)
        self._port = self._daemon.port

    async def await_ready(self) -> None:
        """Return once it answers. PostgreSQL doesn't start while a process of its former life is there."""
        deadline = time.monotonic() + START
        while True:
            try:
                return await asyncio.to_thread(self._daemon.await_ready, START)
            except DaemonError:
                if time.monotonic() > deadline:
                    raise
                self._daemon.stop(START)
                self._daemon.start(self._port)

    async def restart(self) -> None:
        """Start it again after its death, on the thread that calls this. Returns once it answers."""
        self.start()
        await self.await_ready()

    def kill(self) -> None:
        """End it and its children at once, as `kill -9` and the kernel do."""
        self._signal(signal.SIGKILL)
        self._daemon.stop(START)

    def freeze(self) -> None:
        """Stop it where it is. Its sockets stay open, and the kernel goes on accepting connections for it."""
        freeze(self._daemon.pid)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        server = psutil.Process(self._daemon.pid)
        for process in [server, *server.children(recursive=True)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)


@dataclass(frozen=True)
class RestartableStores:
    """Both, by the names that the API has for them."""

    servers: dict[str, Restartable]

    def settings(self, **values: object) -> Settings:
        """Settings of an application on them."""
        url = f"postgresql://postgres@{HOST}:{self.servers['PostgreSQL'].port}/{embedded.DATABASE}"
        return _settings(url, self.servers["MongoDB"], **values)


@contextlib.contextmanager
def restartable_stores() -> Iterator[RestartableStores]:
    """Fresh servers in a folder that is thrown away."""
    with (
        throwaway_folder() as folder,
        contextlib.ExitStack() as stack,
    ):
        mongodb = _mongodb(folder, stack)
        servers = {"MongoDB": mongodb}
        copy_cluster(folder, POSTGRES_BIN)
        postgres = postgres_daemon(folder, False, POSTGRES_BIN)
        plain = postgres.command
        # of what is not durable, this alone would lose what was acknowledged
        postgres.command = lambda port: (*plain(port), "-c", "synchronous_commit=on")
        stack.callback(postgres.stop, START)
        servers["PostgreSQL"] = Restartable(postgres)
        servers["PostgreSQL"].start()
        for daemon in (postgres, mongodb._daemon):
            daemon.await_ready(START)
        create_database(postgres.port, embedded.DATABASE)
        stack.callback(_thaw, servers)
        yield RestartableStores(servers)


@contextlib.contextmanager
def restartable_cluster() -> Iterator[tuple[Cluster, Settings]]:
    """A Citus cluster of a coordinator and two workers, and a MongoDB; settings of an application on them.

    What a commit has left half done is finished each second.
    """
    with (
        throwaway_folder() as folder,
        contextlib.ExitStack() as stack,
    ):
        mongodb = _mongodb(folder, stack)
        mongodb._daemon.await_ready(START)
        cluster = stack.enter_context(citus_cluster())
        cluster.nodes[0].configure(FINISHES)
        stack.callback(_thaw, dict(enumerate(cluster.nodes)))
        yield cluster, _settings(cluster.url, mongodb)


def _settings(postgres_url: str, mongodb: Restartable, **values: object) -> Settings:
    return Settings.model_validate(
        {
            "environment": "development",
            "log_level": "warning",
            "database_url": SecretStr(postgres_url),
            "mongodb_uri": SecretStr(uri_of(mongodb._daemon)),
            "auth_secret": SecretStr("a secret of the tests, with 32 bytes and more"),
            "password_hash_memory": 32,
            "password_hash_time": 1,
        }
        | values
    )


def _mongodb(folder: Path, stack: contextlib.ExitStack) -> Restartable:
    """One that is starting, and that is stopped at the end."""
    options = ("--sync-on-commit", "--enable-test-commands", "--cache-size", "256M", "--log-level", "WARNING")
    daemon = secantus(folder, *options)
    stack.callback(daemon.stop, START)
    server = Restartable(daemon)
    server.start()
    return server


def _thaw(servers: Mapping[Any, Restartable | Node]) -> None:
    for server in servers.values():
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, AssertionError):
            server.thaw()
