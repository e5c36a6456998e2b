"""Which replica a query may read from, and what is done where one fails.

A query reads from one replica, or from the primary: its later statements must not see less than its first. The replica
has replayed what the query must see, and was at most `REPLICA_MAX_LAG` behind when it was last looked at. What fails
there is asked of the primary.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, literal_column, select
from sqlalchemy.exc import TimeoutError as PoolTimeout

from api.errors import StatementTimedOut, as_app_error
from api.log import logger
from api.stores.replicas.position import Position
from api.stores.replicas.replica import Replica
from models.statements import First, Record, Statement, StatementRunner, compile_select


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
        """The rows of a compiled SELECT. Raises what `StatementRunner.fetch` raises."""
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
    """Whether the primary is asked where a replica has failed (a lost connection, a conflict with what is replayed, a
    table that isn't there yet). What takes too long, or finds the pool exhausted, would only burden it as well."""
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
