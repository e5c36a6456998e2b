"""The connection pool: SQLAlchemy's, and a way to its connections that reads can afford.

SQLAlchemy takes a greenlet for every checkout, since it might have to wait or to connect. Where an idle connection is
at hand there is nothing to wait for, and a checkout takes a third of the time.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from sqlalchemy import AsyncAdaptedQueuePool, PoolProxiedConnection
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn
from sqlalchemy.util.queue import Empty


class ConnectionPool(AsyncAdaptedQueuePool):
    """A pool from which connections can be taken without SQLAlchemy's `Connection` around them.

    Those that the server has closed are replaced before they are used: after a restart of the server, writes, which
    nobody may repeat, work at once.
    """

    async def take(self) -> PoolProxiedConnection:
        """A connection, which must be given back. Raises what connecting raises, and SQLAlchemy's TimeoutError."""
        return self.connect() if self._has_usable() else await greenlet_spawn(self.connect)

    async def give_back(self, connection: PoolProxiedConnection) -> None:
        """Return a connection on which no transaction is open; one above the pool's size is closed."""
        if self.checkedin() < self.size():
            connection.close()
        else:
            await asyncio.shield(greenlet_spawn(connection.close))

    def lose(self, connection: PoolProxiedConnection, error: BaseException) -> None:
        """Drop a connection that the server has closed; those as old as it are made anew before they are used."""
        self._invalidate(connection, error)

    def _do_get(self) -> ConnectionPoolEntry:
        record = super()._do_get()
        driver: Any = record.driver_connection
        if driver is not None and driver.is_closed():
            record.invalidate()  # SQLAlchemy connects again where it finds none
        return record

    def _has_usable(self) -> bool:
        """Whether the next connection is there and neither too old nor invalidated: no need to connect."""
        try:
            record: Any = self._pool.get_nowait()
        except Empty:
            return False
        self._pool.put_nowait(record)  # last in, first out: the next checkout takes this one
        if record._is_hard_or_soft_invalidated() or record.driver_connection.is_closed():
            return False
        return self._recycle < 0 or time.time() - record.starttime <= self._recycle
