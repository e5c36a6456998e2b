"""Every metric: its name, what it means, its labels, and how those of several processes become one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf, isnan, nan
from typing import Final, Literal

PREFIX: Final = "fashion_wallet_"

_REQUESTS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds: from the quickest requests to EXECUTION_TIMEOUT, with the 200 ms that objectives speak of."""
_CALLS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0)
_WAITS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def least(values: Iterable[float]) -> float:
    """The least of those that are known; NaN where none is."""
    return min((value for value in values if not isnan(value)), default=nan)


def most(values: Iterable[float]) -> float:
    """The greatest of those that are known; NaN where none is."""
    return max((value for value in values if not isnan(value)), default=nan)


Merge = Callable[[Iterable[float]], float]


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """A metric. `name` is without the `_total` of counters.

    `buckets` are upper bounds of a histogram's, without the infinite one. `merge` makes one of the gauges of several
    processes.
    """

    name: str
    meaning: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    merge: Merge = sum
    exemplars: bool = False

    @property
    def bounds(self) -> tuple[float, ...]:
        """The upper bounds of a histogram's buckets, the infinite one included; none of other metrics."""
        return (*self.buckets, inf) if self.buckets else ()


FAMILIES: Final[dict[str, Family]] = {}
"""By name, in the order in which they are shown."""


def _counter(name: str, meaning: str, *labels: str, prefix: str = PREFIX) -> Family:
    return _kept(Family(prefix + name, meaning, "counter", labels))


def _gauge(name: str, meaning: str, *labels: str, merge: Merge = sum, prefix: str = PREFIX) -> Family:
    return _kept(Family(prefix + name, meaning, "gauge", labels, merge=merge))


def _seconds(
    name: str, meaning: str, buckets: tuple[float, ...], *labels: str, exemplars: bool = False, prefix: str = PREFIX
) -> Family:
    return _kept(Family(f"{prefix}{name}_seconds", meaning, "histogram", labels, buckets, exemplars=exemplars))


def _kept(family: Family) -> Family:
    FAMILIES[family.name] = family
    return family


REQUESTS: Final = _counter(
    "requests", "Requests to /graphql that were answered, by operation and status.", "operation", "status"
)
REQUEST_SECONDS: Final = _seconds(
    "request_duration", "Time to answer a request to /graphql.", _REQUESTS, "operation", exemplars=True
)
REQUEST_BYTES: Final = _counter("request_bytes", "Bytes of requests: query string and body.", "operation")
RESPONSE_BYTES: Final = _counter("response_bytes", "Bytes of answers before they are compressed.", "operation")
COST: Final = _counter("operation_cost", "Points that operations have cost.", "operation")
ERRORS: Final = _counter(
    "errors", "Errors in answers, by code, and the limit that was exceeded.", "operation", "code", "limit"
)
OPERATIONS: Final = _counter("operations", "Operations that got as far as the schema, by status.", "status")
UNDER_WAY: Final = _gauge("requests_under_way", "Requests to /graphql that are being answered.")
SHED: Final = _counter("requests_shed", "Requests that were refused as there was too much to do.")
SOCKETS: Final = _gauge("sockets", "WebSockets that are open.")
SUBSCRIPTIONS: Final = _gauge("subscriptions", "Subscriptions that are open.")
EVENTS: Final = _counter("subscription_events", "Events that subscriptions have sent.")
TOO_SLOW: Final = _counter("subscriptions_cut_off", "Subscriptions whose clients were too slow.")

FALLBACKS: Final = _counter("executor_fallbacks", "Operations left to graphql-core, by reason.", "reason")
PARSED: Final = _counter("documents_parsed", "Documents that had to be parsed, as they weren't kept.")
DOCUMENTS: Final = _gauge("documents", "Documents that are kept parsed.")
DOCUMENT_BYTES: Final = _gauge("documents_bytes", "Memory that they take, about.")
CACHE_HITS: Final = _counter("cache_hits", "What was asked of a cache and was there.", "cache")
CACHE_MISSES: Final = _counter("cache_misses", "What was asked of a cache and was not.", "cache")

SQL: Final = _counter("sql_statements", "SQL statements that requests to /graphql have sent.")
MONGO: Final = _counter("mongodb_commands", "MongoDB commands that they have sent.")
READS: Final = _counter("reads", "Batches of keys that requests have asked for.")
READS_SENT: Final = _counter("reads_sent", "Those that went to a store, with others' in them.")
KEYS_SAVED: Final = _counter("keys_saved", "Keys that others had asked for in the same read.")
READS_WAITED: Final = _counter("reads_waited_seconds", "Time that they have waited for each other.")
QUERIES_JOINED: Final = _counter("queries_joined", "Queries that were answered with what an equal one was given.")

CALL_SECONDS: Final = _seconds(
    "store_call_duration", "How long SQL statements and MongoDB commands took.", _CALLS, "store", "kind"
)
CALL_ERRORS: Final = _counter("store_call_errors", "Statements and commands that failed.", "store", "kind")
POSTGRES_CONNECTIONS: Final = _gauge("postgres_connections", "Connections of the pool to PostgreSQL.", "state")
POSTGRES_LIMIT: Final = _gauge("postgres_connections_limit", "Connections that the pool may have.")
POSTGRES_WAITS: Final = _seconds(
    "postgres_connection_wait", "Time that reads and writes have waited for a connection of a used-up pool.", _WAITS
)
MONGO_CONNECTIONS: Final = _gauge("mongodb_connections", "Connections of the pool to MongoDB.", "state")
MONGO_LIMIT: Final = _gauge("mongodb_connections_limit", "Connections that the pool may have.")
WAITING: Final = _gauge("store_connection_waiters", "Statements and commands that wait for a connection.", "store")
CUT_OFF: Final = _gauge("store_cut_off", "Processes in which the store's circuit breaker is open.", "store")
REPLICA_LAG: Final = _gauge(
    "replica_lag_seconds", "How far PostgreSQL's replica is behind, NaN where it isn't known.", "replica", merge=most
)
REPLICA_USABLE: Final = _gauge("replica_usable", "Processes that read queries from the replica.", "replica")
REPLICA_READS: Final = _counter("replica_reads", "Statements that were sent to the replica.", "replica")
REPLICA_FAILURES: Final = _counter("replica_failures", "Those that were then asked of the primary.", "replica")
REPLICAS_MISSED: Final = _counter("replicas_missed", "Queries that no replica was good enough for.")
SEARCH_BEHIND: Final = _gauge("search_behind_seconds", "Time since search knew every design.", merge=least)

LOOP_LAG: Final = _seconds("event_loop_lag", "How late the event loop has woken up, ten times a second.", _WAITS)
WORKERS: Final = _gauge("workers", "Processes that serve.")
DIED: Final = _counter("workers_died", "Processes that have ended without being told.")
DROPPED: Final = _counter("metrics_dropped", "Series that there was no room for.")

CPU: Final = _counter("process_cpu_seconds", "User and system CPU time of the processes that serve.", prefix="")
