"""Connections to PostgreSQL: all of this program's are opened here, and none is used before the server is looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import asyncpg

from api.config.postgres_url import parse
from api.config.settings import ConfigurationError, Settings
from api.errors import StoreUnfit
from api.log import logger
from models.external_pooler import Connection, ask, is_shared, pooled

Check = Callable[[Connection], Awaitable[None]]
"""Looks at a server through a new connection. Raises StoreUnfit."""

OLDEST: Final = 13
GRACE: Final = 1.0
"""Seconds that a driver waits longer than the server may take: it is the server that ends what takes too long."""
_GOODBYE: Final = 1.0
"""Seconds for telling a server that a connection is over."""
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
    """Opens connections by the settings. The first one looks at the server, with `checks` of the caller's too.

    As long as the server isn't fit, each further one looks again.
    """

    def __init__(self, settings: Settings, *checks: Check) -> None:
        if settings.postgres_url is None:
            raise ConfigurationError("DATABASE_URL (or POSTGRES_HOST) is not set")
        self.is_pooled = settings.postgres_pooler == "transaction"
        self._session = _session(settings)
        self._arguments = self._driver_arguments(settings, settings.postgres_url)
        self._checks = checks
        self._is_fit = False

    def _driver_arguments(self, settings: Settings, address: str) -> dict[str, Any]:
        try:
            url = parse(address)
        except ValueError as error:  # of POSTGRES_HOST and its like; DATABASE_URL was read before
            raise ConfigurationError(f"POSTGRES_HOST: {error}") from None
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
        """A new connection. Raises StoreUnfit, and what asyncpg.connect raises."""
        connection = await self._connect(changes)
        if not self._is_fit:
            try:
                await self._look(connection)
            except BaseException:
                connection.terminate()
                raise
            self._is_fit = True
        return connection

    async def _connect(self, changes: Mapping[str, Any]) -> Connection:
        try:
            connection: Connection = await asyncpg.connect(**{**self._arguments, **changes})
        except asyncpg.PostgresError as error:
            if "unsupported startup parameter" in str(error):
                raise StoreUnfit("PostgreSQL", f"{_POOLER} (it said: {error})", lasts=True) from error
            raise
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
        """A pooler tells clients another process number than the server's. By the session it does no harm."""
        another = await self._connect({})
        try:
            if await is_shared(connection, another):
                raise StoreUnfit("PostgreSQL", _POOLER, lasts=True)
        finally:
            another.terminate()


class SpareConnection:
    """A connection beside the pool, for questions about the server: kept open, and made anew when it is lost."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._kept: Connection | None = None
        self._closed = False

    async def take(self) -> Connection:
        """A connection of the caller's alone, who gives it back whatever happens. Raises what connecting raises."""
        kept, self._kept = self._kept, None
        return kept if kept is not None and not kept.is_closed() else await self._connect()

    def give_back(self, connection: Connection) -> None:
        """Keep one; a second, which came into being while the first was in use, is closed."""
        if self._closed or self._kept is not None or connection.is_in_transaction():
            connection.terminate()
        elif not connection.is_closed():
            self._kept = connection

    async def close(self) -> None:
        kept, self._kept, self._closed = self._kept, None, True
        if kept is not None and not kept.is_closed():
            await kept.close(timeout=_GOODBYE)


def _session(settings: Settings) -> dict[str, str]:
    """What is set for each session, or for each transaction behind a pooler."""
    # with row_security off, which a role or database may have set, policies are errors
    walls = {"row_security": "on"} if settings.row_level_security else {}
    return {
        "statement_timeout": str(int(settings.statement_timeout * 1000)),
        "timezone": "UTC",
        "jit": "off",
        **walls,
    }
