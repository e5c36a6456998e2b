"""Connection strings of PostgreSQL as libpq reads them, as far as the driver (asyncpg) can do what they ask for."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode

_URL: Final = re.compile(
    r"postgres(?:ql)?(?:\+\w+)?://"
    r"(?:(?P<user>[^:/?#@]*)(?::(?P<password>[^@]*))?@)?(?P<hosts>[^/?]*)(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_HOST: Final = re.compile(r"(?P<host>\[[^\]]+\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")

_DRIVERS: Final = frozenset(
    {
        *("host", "port", "user", "password", "dbname", "database", "passfile", "service", "target_session_attrs"),
        *("sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "sslnegotiation"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version", "krbsrvname", "gsslib"),
    }
)
"""What asyncpg reads from a URL by itself."""
_OURS: Final = frozenset({"application_name", "fallback_application_name", "connect_timeout", "options"})
_ASKS_FOR_NOTHING: Final = {"channel_binding": ("disable", "prefer"), "gssencmode": ("disable", "prefer", "allow")}
"""What the driver can't do, with the values that are content without it."""
_VALUES: Final = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
SYSTEM: Final = "system"
"""The `sslrootcert` that stands for the certificate authorities of this machine."""


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """A connection string's parts. Several hosts are tried in their order. What isn't given is None, or not there."""

    hosts: tuple[str, ...]
    ports: tuple[int, ...]
    """One a host, or none."""
    user: str | None
    password: str | None
    database: str | None
    parameters: Mapping[str, str]
    """Those of libpq's that the driver reads, by name."""
    application_name: str | None
    connect_timeout: float | None
    options: str | None

    @property
    def has_password(self) -> bool:
        return self.password is not None or "password" in self.parameters

    def arguments(self, ssl_mode: str, root_certificate: str | None) -> dict[str, Any]:
        """What `asyncpg.connect` takes, with these two where the string doesn't say."""
        parameters = dict(self.parameters)
        mode = parameters.setdefault("sslmode", ssl_mode)
        if root_certificate is not None and mode in ("verify-ca", "verify-full"):
            parameters.setdefault("sslrootcert", root_certificate)
        given: dict[str, Any] = {"user": self.user, "password": self.password, "database": self.database}
        if parameters.get("sslrootcert") == SYSTEM:
            del parameters["sslmode"], parameters["sslrootcert"]
            given["ssl"] = True  # checks the name, too
        if self.hosts:
            given |= {"host": [*self.hosts], "port": [*self.ports] or None}
        return {"dsn": f"postgresql://?{urlencode(parameters)}", **given}


def goes_unverified(url: str, ssl_mode: str) -> bool:
    """Whether a connection leaves this machine without the server's certificate being checked."""
    parsed = parse(url)
    hosts = [*parsed.hosts, *parsed.parameters.get("host", "").split(",")]
    verified = parsed.parameters.get("sslmode", ssl_mode) in ("verify-ca", "verify-full")
    verified = verified or parsed.parameters.get("sslrootcert") == SYSTEM
    return not verified and not all(_is_here(host) for host in hosts)


def _is_here(host: str) -> bool:
    """Whether a host is this machine: its name, an address of it, or a socket's folder."""
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse(url: str) -> PostgresUrl:
    """The parts of a connection string. Raises ValueError with a line that names what is wrong and quotes no secret."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError("must start with postgresql://")
    try:
        query = dict(parse_qsl(found["query"] or "", strict_parsing=bool(found["query"])))
    except ValueError:
        raise _invalid() from None
    _admit(query)
    hosts, ports = _hosts(found["hosts"])
    timeout = _seconds(query.pop("connect_timeout", None))
    name = query.pop("application_name", None) or query.pop("fallback_application_name", None)
    return PostgresUrl(
        hosts=hosts,
        ports=ports,
        user=_text(found["user"]),
        password=_text(found["password"]),
        database=_text(found["database"]),
        application_name=name,
        connect_timeout=timeout,
        options=query.pop("options", None),
        parameters={name: value for name, value in query.items() if name in _DRIVERS},
    )


def _admit(query: Mapping[str, str]) -> None:
    refused = sorted(
        name
        for name, value in query.items()
        if name not in _DRIVERS | _OURS and value not in _ASKS_FOR_NOTHING.get(name, ())
    )
    if refused:
        which = ", ".join(f"{name}={query[name]}" if name in _ASKS_FOR_NOTHING else name for name in refused)
        raise ValueError(f"the driver has no {which}: take it out of the URL")
    for name, values in _VALUES.items():
        if name in query and query[name] not in values:
            raise ValueError(f"{name} must be one of {', '.join(values)}")
    if query.get("sslrootcert") == SYSTEM and query.get("sslmode", "verify-full") != "verify-full":
        raise ValueError("sslrootcert=system needs sslmode=verify-full")


def _hosts(text: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    if not text:
        return (), ()
    hosts, ports = [], []
    for part in text.split(","):
        found = _HOST.fullmatch(part)
        if found is None or not found["host"]:
            raise _invalid()
        hosts.append(unquote(found["host"].strip("[]")))
        ports.append(int(found["port"] or 0))
        if ports[-1] > 65535:
            raise _invalid()
    return tuple(hosts), tuple(port or 5432 for port in ports) if any(ports) else ()


def _seconds(text: str | None) -> float | None:
    """As libpq: whole seconds, where zero and less wait for ever, which here is our own limit."""
    if text is None:
        return None
    try:
        seconds = int(text)
    except ValueError:
        raise ValueError("connect_timeout must be a whole number of seconds") from None
    return float(seconds) if seconds > 0 else None


def _text(quoted: str | None) -> str | None:
    return unquote(quoted) if quoted else None


def _invalid() -> ValueError:
    return ValueError("not a valid PostgreSQL URL")
