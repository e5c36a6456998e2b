"""PostgreSQL: the engine, its pool, and the circuit breaker that no connection gets past."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakSet

import asyncpg
import orjson
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from api.config.settings import Settings
from api.errors import StoreUnfit
from api.log import count_statements
from api.stores.breakers.breaker import Breaker
from api.stores.breakers.limits import Limits
from api.stores.postgres.connector import Check, Connector, SpareConnection
from api.stores.postgres.oldest_first import OldestFirst
from models.connection_pool import ConnectionPool, drop_lost_connections
from models.external_pooler import POOLED_OPTIONS, UNNAMED, Connection

CLOSING: Final = 2.0
"""Seconds that the connections get to close."""
_UNREACHABLE: Final = (
    OSError,  # refused, reset, timed out
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InternalClientError,  # no server is as target_session_attrs asks
    StoreUnfit,
)


class PostgresGuard:
    """PostgreSQL's circuit breaker, with the connections that it guards.

    Only failed attempts to connect count as failures: after a lost connection, the next attempt shows how the server
    is. A connection that comes back to the pool in a usable state is a sign of life.
    """

    def __init__(self, limits: Limits, connector: Connector) -> None:
        self.connector = connector
        self.breaker = Breaker("PostgreSQL", limits, lambda error: isinstance(error, _UNREACHABLE))
        self.breaker.probe, self.breaker.hang_up = self._probe, self._hang_up
        self._connections: WeakSet[Connection] = WeakSet()

    async def connect(self, *_: Any, **__: Any) -> Connection:
        """Open a connection. Raises StoreUnavailable where the breaker is open, and what the connector raises."""
        with self.breaker.call():
            connection = await self.connector()
        self._connections.add(connection)
        return connection

    def guard(self, engine: AsyncEngine) -> None:
        """Guard the engine's pool, which must be a GuardedPool that connects by `connect`."""
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
            connection.terminate()  # closing it properly would take seconds if the server is frozen

    def _hang_up(self) -> None:
        """Drop all connections, so that waiting statements fail and idle connections aren't used again."""
        for connection in list(self._connections):
            connection.terminate()


class GuardedPool(ConnectionPool):
    """A pool that asks the breaker first, and tells it of each connection that comes back in a usable state.

    `waited` is told how many seconds somebody has waited for a connection, as all were in use. Of those who wait, the
    oldest request goes first.
    """

    _queue_class = OldestFirst[ConnectionPoolEntry]

    breaker: Breaker
    waited: Callable[[float], None] | None = None

    def admit(self) -> None:
        self.breaker.check()
        if self.checkedout() == 0:
            self.breaker.heard()

    def _do_get(self) -> ConnectionPoolEntry:
        if not self._pool.empty() or self._overflow < self._max_overflow:
            return super()._do_get()
        line, place, began = self.breaker.line, object(), time.monotonic()
        line.enter(place, began)
        try:
            entry = super()._do_get()
            line.served(place, time.monotonic())
            return entry
        finally:
            line.leave(place)
            if self.waited is not None:
                self.waited(time.monotonic() - began)

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if record.dbapi_connection is not None:
            self.breaker.heard()
        super()._do_return_conn(record)

    def recreate(self) -> GuardedPool:
        pool = super().recreate()
        assert isinstance(pool, GuardedPool)
        pool.breaker, pool.waited = self.breaker, self.waited
        return pool


def postgres_engine(settings: Settings, *checks: Check, guard: PostgresGuard | None = None) -> AsyncEngine:
    """An engine on the configured server, not yet connected. With a guard, its pool is guarded by that.

    Raises ConfigurationError where no server is configured, or one that the driver can't connect to.
    """
    connector = Connector(settings, *checks) if guard is None else guard.connector
    engine = create_async_engine(
        "postgresql+asyncpg://",  # the connector knows the address
        poolclass=ConnectionPool if guard is None else GuardedPool,
        pool_size=settings.postgres_pool_size,
        max_overflow=settings.postgres_max_overflow,
        pool_timeout=settings.postgres_pool_timeout,
        pool_recycle=settings.postgres_pool_recycle,
        pool_use_lifo=True,
        hide_parameters=True,  # errors are logged, and parameters may be password hashes
        json_serializer=lambda value: orjson.dumps(value).decode(),
        connect_args={
            "async_creator_fn": connector if guard is None else guard.connect,
            **(UNNAMED if connector.is_pooled else {}),
        },
        execution_options=POOLED_OPTIONS if connector.is_pooled else {},
    )
    if guard is not None:
        guard.guard(engine)
    count_statements(engine)
    drop_lost_connections(engine.sync_engine)
    event.listen(engine.sync_engine, "connect", _decode_jsonb)
    return engine


def _decode_jsonb(connection: Any, _: object) -> None:
    """Decode JSONB with orjson, straight from the received bytes; SQLAlchemy would copy them twice.

    The codec is a binary one (a version byte, then the text), since a text codec doesn't work with COPY.
    """
    connection.run_async(
        lambda driver: driver.set_type_codec(
            "jsonb",
            encoder=lambda text: b"\x01" + text.encode(),
            decoder=_json,
            schema="pg_catalog",
            format="binary",
        )
    )


def _json(data: bytes) -> Any:
    """The decoded value. One that orjson refuses (huge numbers, too many levels) must not fail the whole result."""
    try:
        return orjson.loads(data[1:])
    except orjson.JSONDecodeError:
        try:
            return json.loads(data[1:])
        except (ValueError, RecursionError):
            return None


async def dispose(engine: AsyncEngine, spare: SpareConnection, guard: PostgresGuard) -> None:
    """Close the connections; drop them where the server doesn't answer in time."""
    closing = {asyncio.create_task(engine.dispose()), asyncio.create_task(spare.close())}
    _, slow = await asyncio.wait(closing, timeout=CLOSING)
    if slow:
        guard.breaker.hang_up()
        await asyncio.wait(slow, timeout=CLOSING)
