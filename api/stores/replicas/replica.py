"""Replicas of PostgreSQL: which of them a query may read from, and what is done where one fails.

A query reads from one replica, or from the primary: its later statements must not see less than its first. The replica
has replayed what the query must see, and was at most `REPLICA_MAX_LAG` behind when it was last looked at. What fails
there is asked of the primary.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import AsyncIterator, Sequence
from functools import cache
from typing import Any, Final

from pydantic import SecretStr
from sqlalchemy import BigInteger, literal_column, select
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from api.config.postgres_url import parse
from api.config.settings import Settings
from api.errors import StatementTimedOut, as_app_error
from api.log import count_statement, logger
from api.stores.breakers.limits import Limits
from api.stores.calls import Calls
from api.stores.postgres.connector import Connector, SpareConnection
from api.stores.postgres.engine import PostgresGuard, dispose, postgres_engine
from api.stores.postgres.observation import ObservedPostgres
from api.stores.postgres.schema_revisions import migrated
from api.stores.replicas.position import Position
from models.statements import First, Record, Statement, StatementRunner, compile_select

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
        """Whether it has replayed all of this. A write that was lost with an earlier timeline is waited for in vain, so
        reads stay on the primary until the new one is as long."""
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


class Replicas(Sequence[Replica]):
    """All replicas of a process. `fallbacks` counts queries that might have read from one, had any been good enough."""

    def __init__(self, replicas: Sequence[Replica], max_lag: float) -> None:
        self._replicas, self.max_lag = list(replicas), max_lag
        self._turn = 0
        self.fallbacks = 0

    def __len__(self) -> int:
        return len(self._replicas)

    def __getitem__(self, index: Any) -> Any:
        return self._replicas[index]

    def choose(self, seen: Position) -> Replica | None:
        """The least busy of the replicas that have all of this, by turns; None for the primary."""
        oldest = time.monotonic() - self.max_lag
        chosen: Replica | None = None
        number = len(self._replicas)
        self._turn = (self._turn + 1) % number
        for index in range(number):
            replica = self._replicas[(self._turn + index) % number]
            if replica.has(seen) and replica.as_of >= oldest and not replica.guard.breaker.is_open:
                if not replica.busy:
                    return replica
                if chosen is None or replica.busy < chosen.busy:
                    chosen = replica
        if chosen is None:
            self.fallbacks += 1
        return chosen


class RoutedStatements:
    """The statements of one query: on a replica, until one of them fails there; from then on, on the primary."""

    def __init__(self, replica: Replica, primary: StatementRunner) -> None:
        self._replica: Replica | None = replica
        self._primary = primary

    async def fetch(self, statement: Statement, values: Sequence[Any], first: First | None = None) -> list[Record]:
        """As the primary's."""
        replica = self._replica
        if replica is not None:
            replica.reads += 1
            try:
                return await replica.statements.fetch(statement, values, first)
            except Exception as error:
                if not _helps_to_ask_elsewhere(error):
                    raise
                replica.failures += 1
                self._replica = None
                logger.debug("replica failed a read", replica=replica.name, cause=repr(error))
        return await self._primary.fetch(statement, values, first)


def _helps_to_ask_elsewhere(error: Exception) -> bool:
    """Whatever it is (a lost connection, a conflict with what is replayed, a table that isn't there yet), but not what
    takes too long, and not a pool that is exhausted: the primary would be next."""
    return not isinstance(error, PoolTimeout) and not isinstance(as_app_error(error), StatementTimedOut)


@cache
def written() -> Statement:
    """How far the primary has written: the end of what was inserted into the log, flushed or not."""
    here = "pg_current_wal_insert_lsn()"
    timeline = f"('x' || left(pg_walfile_name({here}), 8))::bit(32)::bigint"
    wal = f"pg_wal_lsn_diff({here}, '0/0')::bigint"
    columns: list[Any] = [
        literal_column(timeline, BigInteger).label("timeline"),
        literal_column(wal, BigInteger).label("wal"),
    ]
    return compile_select(select(*columns))


@contextlib.asynccontextmanager
async def open_replicas(settings: Settings, primary: PostgresGuard, calls: Calls) -> AsyncIterator[Replicas | None]:
    """The replicas of DATABASE_REPLICA_URLS, which are looked at as long as the block runs; None without any."""
    urls = settings.replica_urls
    if not urls:
        yield None
        return
    from api.stores.replicas.lag import watching

    changes = {"migration_database_url": None, "postgres_connect_timeout": settings.replica_timeout}
    async with contextlib.AsyncExitStack() as stack:
        opened = []
        for number, url in enumerate(urls, 1):
            ours = settings.model_copy(update=changes | {"database_url": SecretStr(url)})
            replica = Replica(number, ours)
            stack.push_async_callback(replica.close)
            ObservedPostgres(calls, replica.engine, replica.statements)
            await stack.enter_async_context(replica.guard.breaker.watching())
            opened.append(replica)
        replicas = Replicas(opened, settings.replica_max_lag)
        await stack.enter_async_context(watching(replicas, primary, settings.replica_timeout))
        yield replicas
