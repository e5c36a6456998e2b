"""Both stores as processes that a test kills, freezes and starts again on their ports. What they acknowledge is kept
through the death of the process, though not of the machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]
from pydantic import SecretStr

from api.config.settings import Settings
from api.embedded import servers as embedded
from api.embedded.daemons import HOST, Daemon, DaemonError
from api.embedded.postgres import create_database, postgres_daemon
from tests.support.servers import POSTGRES_BIN
from tests.support.stores.cluster import copy_cluster

START: Final = 60.0
"""Seconds that a server has for its start."""


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

    def kill(self) -> None:
        """End it and its children at once, as `kill -9` and the kernel do."""
        self._signal(signal.SIGKILL)
        self._daemon.stop(START)

    def freeze(self) -> None:
        """Stop it where it is. Its sockets stay open, and the kernel goes on accepting connections for it."""
        self._signal(signal.SIGSTOP)

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
        postgres, mongodb = self.servers["PostgreSQL"], self.servers["MongoDB"]
        return Settings.model_validate(
            {
                "environment": "development",
                "log_level": "warning",
                "database_url": SecretStr(f"postgresql://postgres@{HOST}:{postgres.port}/{embedded.DATABASE}"),
                "mongodb_uri": SecretStr(f"mongodb://{HOST}:{mongodb.port}/{embedded.DATABASE}?directConnection=true"),
                "auth_secret": SecretStr("a secret of the tests, with 32 bytes and more"),
                "password_hash_memory": 32,
                "password_hash_time": 1,
            }
            | values
        )


@contextlib.contextmanager
def restartable_stores() -> Iterator[RestartableStores]:
    """Fresh servers in a folder that is thrown away."""
    with (
        tempfile.TemporaryDirectory(prefix="fashion-wallet-faults-", ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name).resolve()
        mongodb = embedded._mongodb(
            folder,
            False,
            ("--sync-on-commit", "--enable-test-commands", "--cache-size", "256M", "--log-level", "WARNING"),
        )
        stack.callback(mongodb.stop, START)
        servers = {"MongoDB": Restartable(mongodb)}
        servers["MongoDB"].start()
        copy_cluster(folder, POSTGRES_BIN)
        postgres = postgres_daemon(folder, False, POSTGRES_BIN)
        plain = postgres.command
        # of what is not durable, this alone would lose what was acknowledged
        postgres.command = lambda port: (*plain(port), "-c", "synchronous_commit=on")
        stack.callback(postgres.stop, START)
        servers["PostgreSQL"] = Restartable(postgres)
        servers["PostgreSQL"].start()
        for daemon in (postgres, mongodb):
            daemon.await_ready(START)
        create_database(postgres.port, embedded.DATABASE)
        stack.callback(_thaw, servers)
        yield RestartableStores(servers)


def _thaw(servers: dict[str, Restartable]) -> None:
    for server in servers.values():
        with contextlib.suppress(psutil.NoSuchProcess, AssertionError):
            server.thaw()
