"""Where the breakers stand: in PostgreSQL's pool and in MongoDB's client, so that no call to a store gets past them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final
from weakref import WeakSet

import asyncpg
import pymongo
from pymongo import _csot
from pymongo.errors import ConnectionFailure, NotPrimaryError, ServerSelectionTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from api.errors import StoreUnfit
from api.log import logger
from api.stores.breakers import TICKS, Breaker, Limits
from api.stores.connecting import GRACE, Connector
from api.stores.mongodb import SteadyClient
from models.pool import ConnectionPool
from models.pooler import Connection

_UNREACHABLE: Final = (
    OSError,  # refused, reset, timed out
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InternalClientError,  # no server does that target_session_attrs asks for
    StoreUnfit,
)


class PostgresGuard:
    """PostgreSQL's breaker, and the connections that it watches over.

    Failures are those of connecting; a lost connection shows in the next one. Statements are seen by the pool: one
    that comes back usable is a sign of life.
    """

    def __init__(self, limits: Limits, connector: Connector) -> None:
        self.connector = connector
        self.breaker = Breaker("PostgreSQL", limits, lambda error: isinstance(error, _UNREACHABLE))
        self.breaker.probe, self.breaker.hang_up = self._probe, self._hang_up
        self._connections: WeakSet[Connection] = WeakSet()

    async def connect(self, *_: Any, **__: Any) -> Connection:
        """A new connection. Raises StoreUnavailable where the breaker is open, and what the connector raises."""
        with self.breaker.call():
            connection = await self.connector()
        self._connections.add(connection)
        return connection

    def guard(self, engine: AsyncEngine) -> None:
        """Watch over the engine's pool, which must be a GuardedPool and connect by `connect`."""
        pool = engine.pool
        assert isinstance(pool, GuardedPool)
        pool.breaker = self.breaker
        self.breaker.busy = lambda: pool.checkedout() > 0

    async def _probe(self) -> None:
        limit = self.breaker.limits.probe_timeout
        connection = await self.connector(timeout=limit, command_timeout=limit)
        try:
            await connection.execute("SELECT 1")
        finally:
            connection.terminate()  # to say goodbye to a frozen server takes seconds

    def _hang_up(self) -> None:
        """Drop every connection, so that who waits for an answer gets an error and idle ones aren't used again."""
        for connection in list(self._connections):
            connection.terminate()


class GuardedPool(ConnectionPool):
    """A pool that asks the breaker first, and tells it of every connection that comes back usable."""

    breaker: Breaker

    def admit(self) -> None:
        self.breaker.check()
        if self.checkedout() == 0:
            self.breaker.heard()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if record.dbapi_connection is not None:
            self.breaker.heard()
        super()._do_return_conn(record)

    def recreate(self) -> GuardedPool:
        pool = super().recreate()
        assert isinstance(pool, GuardedPool)
        pool.breaker = self.breaker
        return pool


class GuardedClient(SteadyClient):
    """A client that asks its breaker before every command, cursors' later batches included.

    `timeout` is the deadline of a command with its retries, in seconds, and reaches the server as `maxTimeMS`. The
    driver waits a little longer, to be told so. It would look for a usable server as long; here that keeps the deadline
    of its own, `serverSelectionTimeoutMS`.
    """

    def __init__(self, uri: str, limits: Limits, *, timeout: float, **options: Any) -> None:
        self.breaker = Breaker("MongoDB", limits, _is_mongo_failure)
        self.breaker.probe = self._probe
        milliseconds = int(limits.probe_timeout * 1000)
        # connections of its own: ours may all be in use; it opens none before the first probe or health check
        self.prober = SteadyClient(
            uri,
            **options | {"connectTimeoutMS": milliseconds, "serverSelectionTimeoutMS": milliseconds, "minPoolSize": 0},
        )
        super().__init__(uri, timeoutMS=int((timeout + GRACE) * 1000), **options)

    async def close(self) -> None:
        await asyncio.gather(self.prober.close(), super().close())

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch over the pool, for as long as the block lasts."""
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.wait([watch])

    async def _watch(self) -> None:
        """Replace the connections where the pool hands out none though the server answers.

        All that the driver may wait for before it has a connection, where none is in use, is a server and its greeting.
        """
        limits, options = self.breaker.limits, self.options
        longest = options.server_selection_timeout + (options.pool_options.connect_timeout or 0) + limits.patience
        while True:
            await asyncio.sleep(limits.patience / TICKS)
            if self.breaker.is_open:
                self.starved_since = None
            elif self.is_starved(longest):
                if not await self.breaker.answers():
                    self.starved_since = None  # it is the server
                elif self.is_starved(longest):
                    waiting = self.renew()
                    logger.error("store's connections replaced, they hung", store="MongoDB", waiting=waiting)

    async def _probe(self) -> None:
        await self.prober.admin.command("ping")

    async def _retry_internal(self, *args: Any, **kwargs: Any) -> Any:
        with self.breaker.call():
            return await super()._retry_internal(*args, **kwargs)

    async def _select_server(self, *args: Any, **kwargs: Any) -> Any:
        await self._get_topology()  # opens it, which is no part of the selection
        with pymongo.timeout(self.options.server_selection_timeout):
            server = await super()._select_server(*args, **kwargs)
        left = _csot.remaining()
        if left is not None:
            # the server gets so much less time than the driver has: else both give up at once, and with them the
            # connection. It is set in the context of this command alone
            _csot.set_rtt(min(GRACE, left / 2))
        return server


def _is_mongo_failure(error: Exception) -> bool | None:
    """A lost connection says nothing yet: many are lost at once, and the driver looks for the server again."""
    if isinstance(error, ServerSelectionTimeoutError):
        return True
    return None if isinstance(error, ConnectionFailure) and not isinstance(error, NotPrimaryError) else False


@contextlib.asynccontextmanager
async def watching(*breakers: Breaker) -> AsyncIterator[None]:
    """Watch over these stores for as long as the block lasts."""
    async with contextlib.AsyncExitStack() as stack:
        for breaker in breakers:
            await stack.enter_async_context(breaker.watching())
        yield
