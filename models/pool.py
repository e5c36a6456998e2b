"""The connection pool: SQLAlchemy's, and a way to its connections that a single read can afford.

SQLAlchemy takes a greenlet for every checkout, since it might have to wait or to connect, and puts a proxy around the
connection. Where an idle connection is at hand there is nothing to wait for; without both, a read costs a third less.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from sqlalchemy import AsyncAdaptedQueuePool, PoolProxiedConnection
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn
from sqlalchemy.util.queue import Empty

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
