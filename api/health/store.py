"""The health checks of both stores, for REST and GraphQL.

Both stores are asked at the same time, each with a time limit, over connections beside the pools for requests: a busy
pool is no reason to send requests to another instance, whose pool is busy, too. Checks pass open breakers, and close
them where they succeed. Callers that arrive during a check get its result, so any number of simultaneous probes takes
one PostgreSQL connection (two, if some ask for detailed figures).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final
from weakref import WeakKeyDictionary

import asyncpg
import orjson
import pymongo
from pymongo.topology_description import TopologyDescription
from sqlalchemy import AsyncAdaptedQueuePool, Pool
from sqlalchemy.ext.asyncio import AsyncEngine

from api.health.reasons import NO_PRIMARY, reason, timed_out
from api.health.report import (
    ClusterNode,
    ConnectionCounts,
    Health,
    MongodbHealth,
    MongodbServer,
    MongodbState,
    PostgresHealth,
    PostgresServer,
    ReplicaHealth,
)
from api.log import logger
from api.stores.breakers.breaker import bypassed
from api.stores.mongodb.client import MongoClient, require_version
from api.stores.postgres.connector import SpareConnection
from api.stores.postgres.distribution import Distribution
from api.stores.replicas.replica import SILENT, Replica
from api.stores.stores import Stores
from documents.reading import run_read
from models.external_pooler import Connection, ask

_under_way: Final[WeakKeyDictionary[AsyncEngine, dict[tuple[float, bool], asyncio.Task[Health]]]] = WeakKeyDictionary()
_abandoned: Final[set[asyncio.Task[None]]] = set()
"""Attempts that were given up and are still cleaning up; asyncio itself only keeps weak references to tasks."""


async def check(
    stores: Stores,
    *,
    timeout: float,  # noqa: ASYNC109  asyncio.timeout would wait for connections to be closed in good order
    detailed: bool = False,
) -> Health:
    """Ask both stores whether they answer; with `detailed`, also for the servers' own figures.

    Returns after `timeout` seconds at the latest and raises nothing: a store that does not answer is a result.
    A caller that is cancelled leaves the check to the others who wait for it.
    """
    under_way = _under_way.setdefault(stores.engine, {})
    kind = (timeout, detailed)
    task = under_way.get(kind)
    if task is None:
        task = under_way[kind] = asyncio.create_task(_check(stores, timeout, detailed))
        task.add_done_callback(lambda _: under_way.pop(kind, None))
    return await asyncio.shield(task)


async def _check(stores: Stores, limit: float, detailed: bool) -> Health:
    timestamp, started = datetime.now(UTC), perf_counter()
    postgres = _PostgresAttempt(stores.spare, detailed, stores.distribution, limit)
    mongodb = _MongodbAttempt(stores.spare_mongo, stores.database.name, limit, detailed)
    with bypassed():
        errors = await _within(limit, (postgres, mongodb))
    return Health(
        timestamp,
        _postgres_health(stores, postgres, errors[0], started, limit),
        _mongodb_health(stores, mongodb, errors[1], started, limit),
    )


def _postgres_health(
    stores: Stores, attempt: _PostgresAttempt, error: BaseException | None, started: float, limit: float
) -> PostgresHealth:
    counts = _counts(stores.engine.pool)
    sentence = None
    if attempt.answered is None:
        sentence = reason(error or _GaveUp(), limit)
        logger.warning("store unhealthy", store="postgres", reason=sentence, cause=_described(error))
    elif error is not None:
        logger.warning("no figures from store", store="postgres", cause=_described(error))
    cut_off, elapsed = stores.is_cut_off("PostgreSQL"), _milliseconds(attempt, started)
    replicas = tuple(_replica_health(each, limit) for each in stores.replicas or ())
    return PostgresHealth(sentence is None, elapsed, sentence, cut_off, counts, attempt.server, replicas, attempt.nodes)


def _replica_health(replica: Replica, limit: float) -> ReplicaHealth:
    """What is known of a replica, which is looked at all the time and isn't asked once more."""
    cut_off, why = replica.guard.breaker.is_open, replica.why
    if replica.error is not None:
        why = reason(replica.error, limit)
    elif why is None and cut_off:
        why = SILENT
    return ReplicaHealth(replica.name, why, cut_off, replica.lag)


def _mongodb_health(
    stores: Stores, attempt: _MongodbAttempt, error: BaseException | None, started: float, limit: float
) -> MongodbHealth:
    topology = stores.spare_mongo.topology_description
    sentence = None
    if attempt.answered is None:
        sentence = reason(error or _GaveUp(), limit)
        if sentence == timed_out(limit):
            sentence = _reason_of_heartbeats(topology, limit)
        logger.warning("store unhealthy", store="mongodb", reason=sentence, cause=_described(error))
    elif error is not None:
        logger.warning("no figures from store", store="mongodb", cause=_described(error))
    if any(server.is_writable for server in topology.known_servers):
        state = MongodbState.CONNECTED
    elif topology.known_servers:
        state = MongodbState.READ_ONLY
    else:
        state = MongodbState.DISCONNECTED
    return MongodbHealth(
        sentence is None,
        _milliseconds(attempt, started),
        sentence,
        stores.is_cut_off("MongoDB"),
        state,
        topology.topology_type_name,
        attempt.server,
    )


def _reason_of_heartbeats(topology: TopologyDescription, limit: float) -> str:
    """Why the driver found no usable server in time, as far as it knows."""
    if topology.known_servers:
        return timed_out(limit) if topology.has_writable_server() else NO_PRIMARY
    failures = (server.error for server in topology.server_descriptions().values())
    return next((reason(failure, limit) for failure in failures if failure), timed_out(limit))


class _GaveUp(TimeoutError):
    """The attempt did not end in time."""


async def _within(limit: float, attempts: Sequence[_Attempt]) -> list[BaseException | None]:
    """The error of each attempt, None if it succeeded, `_GaveUp` if it isn't done in time. They run at the same time.

    Unlike asyncio.timeout this does not wait for them to be over: cancelling a statement tells the server and
    closes the connection in good order, which takes seconds where the server is frozen.
    """
    tasks = [asyncio.create_task(attempt.timed()) for attempt in attempts]
    try:
        await asyncio.wait(tasks, timeout=limit)
    finally:
        for attempt, task in zip(attempts, tasks, strict=True):
            if not task.done():
                _abandoned.add(task)
                task.add_done_callback(_forget)
                attempt.hang_up()
                task.cancel()
    return [_error_of(task) for task in tasks]


def _error_of(task: asyncio.Task[None]) -> BaseException | None:
    if not task.done():
        return _GaveUp()
    return asyncio.CancelledError() if task.cancelled() else task.exception()


def _forget(task: asyncio.Task[None]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # asyncio logs exceptions that nobody retrieved


class _Attempt(ABC):
    """An attempt to ask a store: when it answered, and when the attempt ended."""

    answered: float | None = None
    ended: float | None = None

    @abstractmethod
    async def run(self) -> None:
        """Ask the store."""

    async def timed(self) -> None:
        """Ask the store, and note when that has ended."""
        try:
            await self.run()
        finally:
            self.ended = perf_counter()

    @abstractmethod
    def hang_up(self) -> None:
        """Give up what is under way, without waiting for anything."""


@dataclass
class _PostgresAttempt(_Attempt):
    spare: SpareConnection
    detailed: bool
    distribution: Distribution
    limit: float
    server: PostgresServer | None = None
    nodes: tuple[ClusterNode, ...] | None = None
    _driver: Connection | None = field(default=None, init=False)

    async def run(self) -> None:
        try:
            await self._ask()
        except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError):
            if self._driver is None:  # a new one has failed
                raise
            # the server was restarted since this connection was opened
            await self._ask()

    async def _ask(self) -> None:
        self._driver = None
        driver = self._driver = await self.spare.take()
        try:
            await driver.execute("SELECT 1")
            self.answered = perf_counter()
            if self.detailed:
                self.server = PostgresServer(**await ask(driver, _ACTIVITY))
                if self.distribution.is_distributed:
                    row = await ask(driver, _NODES.format(milliseconds=int(self.limit * 1000)))
                    self.nodes = tuple(ClusterNode(**node) for node in orjson.loads(row["nodes"]))
        finally:
            self.spare.give_back(driver)

    def hang_up(self) -> None:
        """Drop the connection without closing it properly, so that its place is free at once."""
        if self._driver is not None:
            self._driver.terminate()


_ACTIVITY: Final = """
    SELECT current_setting('server_version') AS version,
           current_setting('max_connections')::int AS max_connections,
           count(*) AS total,
           count(*) FILTER (WHERE state IN ('active', 'fastpath function call')) AS active,
           count(*) FILTER (WHERE state = 'idle') AS idle,
           count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction,
           count(*) FILTER (WHERE state IS NULL OR state IN ('starting', 'disabled')) AS other
      FROM (SELECT CASE WHEN pid = pg_backend_pid() THEN 'idle' ELSE state END AS state
              FROM pg_stat_activity
             WHERE datname = current_database() AND backend_type = 'client backend') AS clients
"""


_NODES: Final = """
    WITH nodes AS (
        SELECT * FROM pg_dist_node WHERE noderole = 'primary'
    ), patience AS MATERIALIZED (
        -- all of them together take half of the time at most, also where each has to be waited for. On a connection
        -- that Citus had kept, a frozen node would be waited for without end
        SELECT set_config('citus.node_connection_timeout', greatest(10, {milliseconds} / 2 / count(*))::text, true)
               || set_config('citus.max_cached_conns_per_worker', '0', true) AS set
          FROM nodes
    )
    SELECT json_agg(json_build_object(
               'id', nodeid,
               'is_coordinator', groupid = 0,
               'reachable', groupid = 0 OR citus_check_connection_to_node(nodename, nodeport),
               'shards', (SELECT count(*) FROM pg_dist_placement JOIN pg_dist_shard USING (shardid)
                            JOIN pg_dist_partition USING (logicalrelid)
                           WHERE pg_dist_placement.groupid = nodes.groupid AND partmethod = 'h')
           ) ORDER BY nodeid)::text AS nodes
      FROM patience JOIN nodes ON patience.set IS NOT NULL
"""


@dataclass
class _MongodbAttempt(_Attempt):
    client: MongoClient
    database: str
    limit: float
    detailed: bool
    server: MongodbServer | None = None

    def hang_up(self) -> None:
        """The driver closes its connection where it is cancelled."""

    async def run(self) -> None:
        # a little earlier than we give up, so that the driver can say why; the server stops working then too
        with pymongo.timeout(self.limit * 0.9):
            await run_read(self.client.admin, {"ping": 1})
            require_version(self.client)
            self.answered = perf_counter()
            if self.detailed:
                stats: Mapping[str, Any] = await self.client[self.database].command("dbStats")
                self.server = MongodbServer(
                    version=str((await self.client.server_info())["version"]),
                    collections=int(stats["collections"]),
                    objects=int(stats["objects"]),
                    data_size=int(stats["dataSize"]),
                    indexes=int(stats["indexes"]),
                    index_size=int(stats["indexSize"]),
                )


def _counts(pool: Pool) -> ConnectionCounts:
    assert isinstance(pool, AsyncAdaptedQueuePool)
    idle, active = pool.checkedin(), pool.checkedout()
    return ConnectionCounts(total=idle + active, active=active, idle=idle)


def _milliseconds(attempt: _Attempt, started: float) -> int:
    """Until the answer; without one, until the attempt ended or was given up."""
    return round(((attempt.answered or attempt.ended or perf_counter()) - started) * 1000)


def _described(error: BaseException | None) -> str:
    """For the log, which may name hosts."""
    return f"{type(error).__name__}: {error}"
