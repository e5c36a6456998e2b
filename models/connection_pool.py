"""The connection pool: SQLAlchemy's, and a way to its connections that a single read can afford.

SQLAlchemy takes a greenlet for every checkout, since it might have to wait or to connect, and puts a proxy around the
connection. Where an idle connection is at hand there is nothing to wait for; without both, a read costs a third less.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from sqlalchemy import AsyncAdaptedQueuePool, Engine, ExceptionContext, PoolProxiedConnection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn
from sqlalchemy.util.queue import Empty

from models.failures import ends_connection, is_read_only

LOOKS_AGAIN: Final = 1.0
"""Seconds for which new connections to a server that only reads are believed."""

PoolEntry = Any
"""SQLAlchemy's record of a pooled connection: `driver_connection` is asyncpg's."""


class ConnectionPool(AsyncAdaptedQueuePool):
    """A pool whose entries can also be taken as they are, without SQLAlchemy's `Connection` and proxy around them.

    Who takes one gives it back whatever happens: unlike a proxy, a lost entry is not collected as garbage. Connections
    that the server has closed are replaced before they are used: after a restart of the server, writes, which nobody
    may repeat, work at once.
    """

    def admit(self) -> None:
        """Called before every checkout; a subclass may refuse it with an error."""

    def connect(self) -> PoolProxiedConnection:
        self.admit()
        return super().connect()

    async def take(self) -> PoolEntry:
        """A connected entry. Raises what connecting raises, and SQLAlchemy's TimeoutError."""
        self.admit()
        try:
            entry = self._pool.get_nowait()
        except Empty:
            return await greenlet_spawn(self._connected)
        if self._is_usable(entry):
            return entry
        self._pool.put_nowait(entry)  # which takes part in the accounts of the pool while it connects anew
        return await greenlet_spawn(self._connected)

    async def give_back(self, entry: PoolEntry) -> None:
        """Return an entry on which no transaction is open; one above the pool's size is closed."""
        if self._pool.full():
            await asyncio.shield(greenlet_spawn(entry.checkin, False))
        else:
            entry.checkin(False)

    def is_lost(self, entry: PoolEntry, error: BaseException) -> bool:
        """Whether a connection on which this happened is good for nothing more.

        Where the server only reads, another one writes by now, or the same one for new connections: all of the pool
        are made anew, once in a while.
        """
        if entry.driver_connection is None or entry.driver_connection.is_closed() or ends_connection(error):
            return True
        since = self._invalidate_time
        return is_read_only(error) and (entry.starttime <= since or time.time() - since > LOOKS_AGAIN)

    def lose(self, entry: PoolEntry, error: BaseException) -> None:
        """Drop a connection that the server has closed; those as old as it are made anew before they are used."""
        if self._invalidate_time < entry.starttime:
            self._invalidate_time = time.time()
        entry.invalidate(error)

    def _do_get(self) -> ConnectionPoolEntry:
        entry = super()._do_get()
        driver: Any = entry.driver_connection
        if driver is not None and driver.is_closed():
            entry.invalidate()  # SQLAlchemy connects again where it finds none
        return entry

    def _is_usable(self, entry: Any) -> bool:
        """Whether an idle connection is neither closed nor too old nor invalidated."""
        if entry._is_hard_or_soft_invalidated() or entry.driver_connection.is_closed():
            return False
        return self._recycle < 0 or time.time() - entry.starttime <= self._recycle

    def _connected(self) -> PoolEntry:
        entry: Any = self._do_get()
        try:
            entry.get_connection()
        except BaseException as error:
            entry._checkin_failed(error, False)
            raise
        return entry


def drop_lost_connections(engine: Engine) -> None:
    """Have the engine drop what its pool, a ConnectionPool, holds for lost; SQLAlchemy looks for closed ones only."""
    event.listen(engine, "handle_error", _drop_if_lost)


def _drop_if_lost(context: ExceptionContext) -> BaseException | None:
    connection, error = context.connection, context.original_exception
    if context.is_disconnect or connection is None or connection.closed or connection.invalidated:
        return None
    pool: Any = connection.engine.pool
    entry: Any = connection.connection
    if not pool.is_lost(entry._connection_record, error):
        return None
    context.is_disconnect = True
    if context.sqlalchemy_exception is not None or not isinstance(error, Exception):
        return None
    return DBAPIError(context.statement, None, error, hide_parameters=True, connection_invalidated=True)
