"""How far replicas are behind: the primary is asked how far it has come, and each replica how far it has replayed.

The lag is a time, and is measured by this process's clock alone: a replica that has replayed what the primary had at
some moment lacks only what was written after it. So an idle primary makes no lag, and clocks of servers don't matter.
Where the primary can't be asked, its replicas grow old.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from api.background import in_background
from api.errors import StoreUnfit
from api.log import logger
from api.stores.postgres.connector import SpareConnection
from api.stores.postgres.engine import PostgresGuard
from api.stores.replicas.replica import SILENT, Replica
from api.stores.replicas.routing import Replicas
from models.external_pooler import ask

EVERY: Final = 0.25
"""Seconds between two looks. So long after the replica has caught up, whoever has written may still read from the
primary."""
_PRIMARY: Final = """
    SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint AS position,
           ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int AS timeline,
           (SELECT system_identifier FROM pg_control_system()) AS cluster
"""
_REPLICA: Final = """
    SELECT pg_is_in_recovery() AS replays, pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint AS position,
           coalesce(
               (SELECT received_tli FROM pg_stat_wal_receiver),  -- which not every role may see
               (SELECT greatest(timeline_id, min_recovery_end_timeline)
                  FROM pg_control_checkpoint(), pg_control_recovery())
           ) AS timeline, (SELECT system_identifier FROM pg_control_system()) AS cluster
"""


@dataclass(frozen=True, slots=True)
class _Moment:
    """What the primary had written at some time, at least."""

    at: float
    position: int


class _Primary:
    """How far the primary had come when it was last asked, again and again; nothing from before its last promotion."""

    def __init__(self, most: int) -> None:
        self.timeline = 0
        self.cluster = 0
        self._moments: deque[_Moment] = deque(maxlen=most)

    def note(self, at: float, position: int, timeline: int, cluster: int) -> None:
        if (timeline, cluster) != (self.timeline, self.cluster):
            self._moments.clear()
            self.timeline, self.cluster = timeline, cluster
        if self._moments and self._moments[-1].position == position:
            self._moments.pop()  # nothing was written meanwhile
        self._moments.append(_Moment(at, position))

    @property
    def newest(self) -> float | None:
        """When it last said how far it is."""
        return self._moments[-1].at if self._moments else None

    def as_of(self, position: int) -> float:
        """When the primary had written no more than what lies before this position; long ago where that is unknown."""
        return next((moment.at for moment in reversed(self._moments) if moment.position <= position), -math.inf)


@contextlib.asynccontextmanager
async def watching(replicas: Replicas, guard: PostgresGuard, limit: float) -> AsyncIterator[None]:
    """Look at the primary and its replicas as long as the block runs. An answer takes `limit` seconds at most."""
    primary = _Primary(most=max(100, int(4 * replicas.max_lag / EVERY)))
    spare = SpareConnection(guard.connect)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(spare.close)
        await stack.enter_async_context(in_background(_watch_primary(primary, spare, limit)))
        for replica in replicas:
            await stack.enter_async_context(in_background(_watch(replica, replicas.max_lag, primary, limit)))
        yield


async def _watch_primary(primary: _Primary, spare: SpareConnection, limit: float) -> None:
    while True:
        asked = time.monotonic()
        try:
            row = await _answer(spare, _PRIMARY, limit)
        except Exception as error:  # its own breaker and health check say so
            logger.debug("primary does not say how far it is", cause=repr(error))
        else:
            primary.note(asked, row["position"], row["timeline"], row["cluster"])
        await asyncio.sleep(EVERY)


async def _watch(replica: Replica, max_lag: float, primary: _Primary, limit: float) -> None:
    while True:
        try:
            row = await _answer(replica.spare, _REPLICA, limit)
        except StoreUnfit as unfit:
            replica.exclude(unfit.reason)
        except Exception as error:
            replica.exclude(SILENT, error)
        else:
            _judge(replica, row, max_lag, primary)
        replica.lag = _lag(replica, primary, limit)
        await asyncio.sleep(EVERY)


def _judge(replica: Replica, row: Any, max_lag: float, primary: _Primary) -> None:
    if primary.newest is None:
        replica.exclude("the primary has not said yet how far it is")
    elif row["cluster"] != primary.cluster:
        replica.exclude("it is of another cluster than the primary")
    elif not row["replays"]:
        replica.exclude("it replays nothing: it was promoted, or is the primary itself")
    elif row["position"] is None or row["timeline"] != primary.timeline:
        replica.exclude("it follows another timeline than the primary's")
    else:
        replica.as_of = max(replica.as_of, primary.as_of(row["position"]))
        if time.monotonic() - replica.as_of > max_lag:
            replica.exclude(f"it is more than {max_lag:g} s behind")
        else:
            replica.admit(row["timeline"], row["position"])


def _lag(replica: Replica, primary: _Primary, limit: float) -> float | None:
    """Seconds: 0 for a replica that has all that the primary had when it was last asked. They grow where one of the two
    is silent; None where nothing is known yet."""
    if replica.as_of == -math.inf or primary.newest is None:
        return None
    now = time.monotonic()
    is_silent = replica.error is not None or now - primary.newest > 2 * (EVERY + limit)
    return 0.0 if replica.as_of >= primary.newest and not is_silent else now - replica.as_of


async def _answer(spare: SpareConnection, query: str, limit: float) -> Any:
    """The only row of a query. A server that is silent loses the connection: cancelling would wait for it."""
    connection = await spare.take()
    timer = asyncio.get_running_loop().call_later(limit, connection.terminate)
    try:
        return await ask(connection, query)
    finally:
        timer.cancel()
        spare.give_back(connection)
