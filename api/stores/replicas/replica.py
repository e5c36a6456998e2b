"""One replica of PostgreSQL, with connections of its own, and what is known of how far it has come."""

from __future__ import annotations

import math
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from api.config.postgres_url import parse
from api.config.settings import Settings
from api.log import count_statement, logger
from api.stores.breakers.limits import Limits
from api.stores.postgres.connector import Connector, SpareConnection
from api.stores.postgres.engine import PostgresGuard, dispose, postgres_engine
from api.stores.postgres.schema_revisions import migrated
from api.stores.replicas.position import Position
from models.statements import StatementRunner

SILENT: Final = "it does not answer"
"""Why a replica isn't read that gives no answer."""
UNKNOWN: Final = -1
"""As a place in the log: before everything, so that no read goes there."""


class Replica:
    """A replica, with connections and a circuit breaker of its own.

    `position` is how far it has replayed, `as_of` the moment (of time.monotonic) since when it may lack something that
    the primary has. `lag` is in seconds; None where it has never been known. `why` says why it isn't read; it is None
    where it is. `error` is what it failed to answer with. `reads` and `failures` count statements since the start.
    """

    def __init__(self, number: int, settings: Settings) -> None:
        assert settings.postgres_url is not None
        url = parse(settings.postgres_url)
        self.name = f"replica {number}"
        self.address = ",".join(url.hosts) + "".join(f":{port}" for port in url.ports[:1])
        limit = settings.replica_timeout
        limits = Limits(failures=1, window=limit, patience=limit, probe_timeout=limit, probe_interval=limit)
        self.guard = PostgresGuard(limits, Connector(settings, migrated))
        self.guard.breaker.store = f"PostgreSQL {self.name}"
        self.engine: AsyncEngine = postgres_engine(settings, guard=self.guard)
        self.statements = StatementRunner(self.engine, [count_statement])
        self.spare = SpareConnection(self.guard.connect)
        self.timeline = self.position = UNKNOWN
        self.as_of = -math.inf
        self.lag: float | None = None
        self.why: str | None = "not looked at yet"
        self.error: Exception | None = None
        self.reads = self.failures = 0
        self._pool: Any = self.engine.sync_engine.pool

    @property
    def is_usable(self) -> bool:
        """Whether reads go there that must see nothing in particular."""
        return self.why is None and not self.guard.breaker.is_open

    @property
    def busy(self) -> int:
        """Connections in use."""
        count: int = self._pool.checkedout()
        return count

    def has(self, seen: Position) -> bool:
        """Whether it has replayed all of this.

        A write that was lost with an earlier timeline never arrives. Whoever has made it reads from the primary until
        the log of the new timeline is as long.
        """
        return self.position >= seen.wal and self.timeline >= seen.timeline

    def exclude(self, why: str, error: Exception | None = None) -> None:
        """Read from it no more until it is looked at again."""
        if self.why != why:
            said = {} if error is None else {"error": repr(error)}
            logger.warning("replica is not read", replica=self.name, address=self.address, reason=why, **said)
        self.position, self.why, self.error = UNKNOWN, why, error

    def admit(self, timeline: int, position: int) -> None:
        """It has replayed so much."""
        if self.why is not None:
            logger.info("replica is read", replica=self.name, address=self.address)
        self.timeline, self.position, self.why, self.error = timeline, position, None, None

    async def close(self) -> None:
        await dispose(self.engine, self.spare, self.guard)
