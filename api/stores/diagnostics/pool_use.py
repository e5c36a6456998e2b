"""How much of the connection pools is in use, and a warning where little is left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from api.background import in_background
from api.log import logger

EVERY: Final = 1.0
"""Seconds between two looks."""
HIGH: Final = 0.8
LOW: Final = 0.6
"""Below it a pool has room again. Between the two nothing is said, so a pool that goes up and down around `HIGH` is
warned of once."""


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Connections of a pool in use and idle, and how many it may have."""

    store: str
    in_use: int
    idle: int
    limit: int

    @property
    def share(self) -> float:
        """The part of the pool that is in use, from 0 to 1."""
        return self.in_use / self.limit if self.limit else 0.0


def postgres_use(engine: AsyncEngine) -> PoolUse:
    """The use of PostgreSQL's pool."""
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    return PoolUse("PostgreSQL", pool.checkedout(), pool.checkedin(), pool.size() + max(pool._max_overflow, 0))


def mongo_use(client: Any) -> PoolUse:
    """The use of the driver's pools, one a server. It has no public figures of them."""
    servers = getattr(client._topology, "_servers", {}) if client._topology is not None else {}
    pools = [server.pool for server in servers.values()]
    return PoolUse(
        "MongoDB",
        sum(pool.active_sockets for pool in pools),
        sum(len(pool.conns) for pool in pools),
        client.options.pool_options.max_pool_size * max(len(pools), 1),
    )


class PoolWatch:
    """Warns once where a pool is nearly used up, and again after it had room."""

    def __init__(self) -> None:
        self._high: set[str] = set()

    def look(self, uses: Sequence[PoolUse]) -> None:
        """Log what has changed."""
        for use in uses:
            if use.share >= HIGH and use.store not in self._high:
                self._high.add(use.store)
                logger.warning("pool nearly used up", store=use.store, in_use=use.in_use, limit=use.limit)
            elif use.share < LOW and use.store in self._high:
                self._high.remove(use.store)
                logger.info("pool has room again", store=use.store, in_use=use.in_use, limit=use.limit)


@contextlib.asynccontextmanager
async def watching_pools(engine: AsyncEngine, client: Any) -> AsyncIterator[None]:
    """Look at both pools as long as the block runs."""

    async def look() -> None:
        watch = PoolWatch()
        while True:
            await asyncio.sleep(EVERY)
            watch.look([postgres_use(engine), mongo_use(client)])

    async with in_background(look()):
        yield
