"""`GET /metrics`: the counts of this process in Prometheus' text format. It asks no store.

The library's counters would cost a lock and a lookup for each count. Instead, a collector reads ours when it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import nan
from typing import Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.pool import QueuePool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.admission.document_cache import documents
from api.http.sockets import SocketEndpoint
from api.http.traffic import Traffic
from api.schema import schema
from api.search.following import Lag
from api.stores.stores import Stores

_CLASSES: Final = (2, 4, 5)
"""Status classes that are shown from the start, with 0, so that Prometheus sees the first one as an increase."""


def routes(traffic: Traffic, sockets: SocketEndpoint) -> list[Route]:
    """`/metrics`, for GET and HEAD. It reads `stores` and `search_lag` of `app.state`."""

    async def metrics(request: Request) -> Response:
        state = request.app.state
        content = generate_latest(Figures(traffic, sockets, state.stores, state.search_lag))
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return Response(content, headers={**headers, "Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    return [Route("/metrics", metrics, methods=["GET"])]


class Figures(Collector):
    """The figures of this process; on Linux also its CPU time, memory and files."""

    def __init__(self, traffic: Traffic, sockets: SocketEndpoint, stores: Stores, lag: Lag) -> None:
        self._traffic, self._sockets, self._lag = traffic, sockets, lag
        self._stores = stores

    def collect(self) -> Iterator[Metric]:
        yield from self._requests()
        yield from self._execution()
        yield from self._of_stores()
        yield from ProcessCollector(registry=None).collect()

    def _requests(self) -> Iterator[Metric]:
        traffic = self._traffic
        yield _by_class("requests", "Requests to /graphql that were answered, by status.", traffic.requests)
        yield _by_class("operations", "Operations among them that got as far as the schema.", traffic.operations)
        yield _gauge("requests_under_way", "Requests to /graphql that are being answered.", traffic.under_way)
        yield _gauge("sockets", "WebSockets that are open.", len(self._sockets))
        errors = _counter("errors", "Errors in responses, by code, and the limit that was exceeded.", "code", "limit")
        for labels, count in traffic.errors.items():
            errors.add_metric(labels, count)
        yield errors

    def _execution(self) -> Iterator[Metric]:
        fallbacks = _counter("executor_fallbacks", "Operations left to graphql-core, by reason.", "reason")
        for reason, count in schema.executor.fallbacks.items():
            fallbacks.add_metric([reason], count)
        yield fallbacks
        yield _gauge("documents", "Documents that are kept parsed.", len(documents))
        yield _gauge("documents_bytes", "Memory that they take, about.", documents.bytes)

    def _of_stores(self) -> Iterator[Metric]:
        yield _counted("sql_statements", "SQL statements that requests to /graphql have sent.", self._traffic.sql)
        yield _counted("mongodb_commands", "MongoDB commands that they have sent.", self._traffic.mongo)
        if (coalescer := self._stores.coalescer) is not None:
            shared = coalescer.sharing
            yield _counted("reads", "Batches of keys that requests have asked for.", shared.reads)
            yield _counted("reads_sent", "Those that went to a store, with others' in them.", shared.sent)
            yield _counted("keys_saved", "Keys that others had asked for in the same read.", shared.keys_saved)
            yield _counted("reads_waited_seconds", "Time that they have waited for each other.", shared.waited)
        if (answers := self._stores.answers) is not None:
            joined = answers.sharing.keys_saved
            yield _counted("queries_joined", "Queries that were answered with what an equal one was given.", joined)
        pool = self._stores.engine.pool
        assert isinstance(pool, QueuePool)
        connections = _labelled("postgres_connections", "Connections of the pool to PostgreSQL, by state.", "state")
        connections.add_metric(["checked_out"], pool.checkedout())
        connections.add_metric(["idle"], pool.checkedin())
        yield connections
        cut_off = _labelled("store_cut_off", "Whether the store's circuit breaker is open.", "store")
        for breaker in self._stores.breakers:
            cut_off.add_metric([breaker.store], breaker.is_open)
        yield cut_off
        behind = self._lag.seconds
        yield _gauge("search_behind_seconds", "Time since search knew every design.", nan if behind is None else behind)


def _counter(name: str, meaning: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"fashion_wallet_{name}", meaning, labels=labels)


def _counted(name: str, meaning: str, count: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"fashion_wallet_{name}", meaning, value=count)


def _labelled(name: str, meaning: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"fashion_wallet_{name}", meaning, labels=labels)


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"fashion_wallet_{name}", meaning, value=value)


def _by_class(name: str, meaning: str, counts: Sequence[int]) -> CounterMetricFamily:
    family = _counter(name, meaning, "status")
    for each, count in enumerate(counts):
        if count or each in _CLASSES:
            family.add_metric([f"{each}xx"], count)
    return family
