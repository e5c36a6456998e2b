"""Opening connections to PostgreSQL. The first one checks that the server can be used."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import asyncpg

from api.config.postgres_url import PostgresUrl, parse
from api.config.settings import ConfigurationError, Settings
from api.errors import StoreUnfit
from api.log import logger
from api.stores.breakers.limits import GRACE
from api.stores.postgres.passwords import PasswordSource, Target, password_source
from models.external_pooler import Connection, ask, is_shared, pooled

Check = Callable[[Connection], Awaitable[None]]
"""Checks a server through a new connection. Raises StoreUnfit."""

OLDEST: Final = 13
_GOODBYE: Final = 1.0
"""Seconds for closing a connection properly."""
_SERVER: Final = """
    SELECT pg_backend_pid() AS process, current_setting('server_version_num')::int AS version,
           split_part(current_setting('server_version'), ' ', 1) AS name,
           (SELECT setting FROM pg_settings WHERE name = 'statement_timeout') AS statement_timeout
"""
_POOLER: Final = (
    "between this program and the server is a pooler in transaction mode (PgBouncer or the like), through which "
    "statements would reach others' connections: set POSTGRES_POOLER=transaction"
)


class Connector:
    """Opens connections by the settings. The first one checks the server, and runs the caller's `checks`; every one
    runs `always`.

    Until a server has passed, every new connection checks it again.
    """

    def __init__(self, settings: Settings, *checks: Check, always: Check | None = None) -> None:
        if settings.postgres_url is None:
            raise ConfigurationError("DATABASE_URL (or POSTGRES_HOST) is not set")
        self.is_pooled = settings.postgres_pooler == "transaction"
        self._session = _session(settings)
        self._password: PasswordSource | None = None
        self._arguments = self._driver_arguments(settings, settings.postgres_url)
        self._checks, self._always = checks, always
        self._is_fit = False

    def _driver_arguments(self, settings: Settings, address: str) -> dict[str, Any]:
        try:
            url = parse(address)
        except ValueError as error:  # it was made of POSTGRES_HOST and so on; DATABASE_URL was checked by Settings
            raise ConfigurationError(f"POSTGRES_HOST: {error}") from None
        self._password = password_source(settings, _target(url))
        named = {"application_name": url.application_name or "fashion-wallet"}
        root = settings.postgres_ssl_root_cert
        arguments = url.arguments(settings.postgres_ssl, None if root is None else str(root)) | {
            "timeout": url.connect_timeout or settings.postgres_connect_timeout,
            "command_timeout": settings.statement_timeout + GRACE,
        }
        if not self.is_pooled:
            options = {} if url.options is None else {"options": url.options}
            return arguments | {"server_settings": options | named | self._session}
        if url.options is not None:
            raise ConfigurationError("DATABASE_URL: poolers take no options; set them by ALTER ROLE")
        if url.parameters.get("target_session_attrs", "any") != "any":
            raise ConfigurationError("DATABASE_URL: target_session_attrs asks for a server, and POSTGRES_POOLER is set")
        return arguments | {"server_settings": named} | pooled(self._session)

    async def __call__(self, *_: Any, **changes: Any) -> Connection:
        """Open a connection. Raises StoreUnfit, and whatever asyncpg.connect raises."""
        connection = await self._connect(changes)
        try:
            if not self._is_fit:
                await self._look(connection)
                self._is_fit = True
            if self._always is not None:
                await self._always(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _connect(self, changes: Mapping[str, Any]) -> Connection:
        arguments = {**self._arguments, **changes}
        try:
            if self._password is None:
                connection: Connection = await asyncpg.connect(**arguments)
            else:
                connection = await self._sign_in(self._password, arguments)
        except asyncpg.PostgresError as error:
            if "unsupported startup parameter" in str(error):
                raise StoreUnfit("PostgreSQL", f"{_POOLER} (it said: {error})", lasts=True) from error
            raise
        return connection

    async def _sign_in(self, source: PasswordSource, arguments: Mapping[str, Any]) -> Connection:
        """Connect with the password of now; once more where it was changed between reading and signing in."""
        password = await source.read()
        try:
            connection: Connection = await asyncpg.connect(**{**arguments, "password": password})
        except asyncpg.InvalidAuthorizationSpecificationError:
            if (changed := await source.read()) == password:
                raise
            connection = await asyncpg.connect(**{**arguments, "password": changed})
        return connection

    async def _look(self, connection: Connection) -> None:
        server = await ask(connection, _SERVER)
        if server["version"] < OLDEST * 10_000:
            text = f"the server is PostgreSQL {server['name']}, and {OLDEST} is the oldest that will do"
            raise StoreUnfit("PostgreSQL", text, lasts=True)
        if not self.is_pooled and server["process"] != connection.get_server_pid():
            await self._look_at_pooler(connection)
            if server["statement_timeout"] != self._session["statement_timeout"]:
                logger.warning("a pooler ignores what sessions start with", hint="POSTGRES_POOLER=transaction helps")
        for check in self._checks:
            await check(connection)

    async def _look_at_pooler(self, connection: Connection) -> None:
        """Refuse a pooler that lends connections by the transaction; one that lends them by the session does no
        harm."""
        another = await self._connect({})
        try:
            if await is_shared(connection, another):
                raise StoreUnfit("PostgreSQL", _POOLER, lasts=True)
        finally:
            another.terminate()


class SpareConnection:
    """A connection beside the pool, for health checks. It is kept open, and opened again when it is lost."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._kept: Connection | None = None
        self._closed = False

    async def take(self) -> Connection:
        """Take the connection. The caller must give it back, whatever happens. Raises what connecting raises."""
        kept, self._kept = self._kept, None
        return kept if kept is not None and not kept.is_closed() else await self._connect()

    def give_back(self, connection: Connection) -> None:
        """Keep the connection. A second one, opened while the first was in use, is closed."""
        if self._closed or self._kept is not None or connection.is_in_transaction():
            connection.terminate()
        elif not connection.is_closed():
            self._kept = connection

    async def close(self) -> None:
        kept, self._kept, self._closed = self._kept, None, True
        if kept is not None and not kept.is_closed():
            await kept.close(timeout=_GOODBYE)


def _target(url: PostgresUrl) -> Target:
    given = url.parameters
    return Target(
        host=",".join(url.hosts) or given.get("host", ""),
        port=",".join(map(str, url.ports)) or given.get("port", ""),
        user=url.user or given.get("user", ""),
        database=url.database or given.get("dbname", given.get("database", "")),
    )


def _session(settings: Settings) -> dict[str, str]:
    """The parameters of each session; behind a pooler, of each transaction."""
    # a role or database may have set row_security off, with which policies raise errors
    walls = {"row_security": "on"} if settings.row_level_security else {}
    return {
        "statement_timeout": str(int(settings.statement_timeout * 1000)),
        "timezone": "UTC",
        "jit": "off",
        **walls,
    }
