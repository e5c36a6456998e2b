"""What is counted anyway, or is a state: a process puts it into its slot once a second, and when it is scraped."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Mapping, Sized
from math import nan
from typing import Final, Protocol

from api.admission.document_cache import documents
from api.live.live import Live
from api.metrics import families
from api.metrics.families import Family
from api.metrics.memory import Slot
from api.schema import schema
from api.search.following import Lag
from api.stores.diagnostics.pool_use import mongo_use, postgres_use
from api.stores.stores import Stores

EVERY: Final = 1.0
"""Seconds between two samples."""
_WAKES: Final = 0.1
"""Seconds between two looks at how late the event loop is."""


class Traffic(Protocol):
    """Requests to `/graphql` that are under way, and those that were shed."""

    under_way: int
    shed: int


class Cache(Protocol):
    """What counts how often it has had what it was asked for."""

    @property
    def hits(self) -> int: ...

    @property
    def misses(self) -> int: ...


class Sampler:
    """Samples a process. `sockets` are its WebSockets, and `lag` is how far it knows search to be behind; `caches` have
    their names as they are shown."""

    def __init__(
        self,
        slot: Slot,
        stores: Stores,
        live: Live,
        traffic: Traffic,
        sockets: Sized,
        lag: Lag,
        caches: Mapping[str, Cache],
    ) -> None:
        self._slot, self._stores, self._live = slot, stores, live
        self._traffic, self._sockets, self._lag, self._caches = traffic, sockets, lag, caches
        self._before: dict[int, float] = {}

    def sample(self) -> None:
        """Put everything into the slot."""
        self._gauge(families.WORKERS, 1)
        self._gauge(families.UNDER_WAY, self._traffic.under_way)
        self._count(families.SHED, self._traffic.shed)
        self._gauge(families.SOCKETS, len(self._sockets))
        self._gauge(families.SUBSCRIPTIONS, len(self._live))
        self._count(families.EVENTS, self._live.sent)
        self._count(families.TOO_SLOW, self._live.cut_off)
        self._count(families.CPU, time.process_time())
        self._execution()
        self._sharing()
        self._connections()
        self._replicas()
        behind = self._lag.seconds
        self._gauge(families.SEARCH_BEHIND, nan if behind is None else behind)

    def _execution(self) -> None:
        for reason, count in schema.executor.fallbacks.items():
            self._count(families.FALLBACKS, count, reason)
        self._count(families.PARSED, documents.parsed)
        self._gauge(families.DOCUMENTS, len(documents))
        self._gauge(families.DOCUMENT_BYTES, documents.bytes)
        for name, cache in self._caches.items():
            self._count(families.CACHE_HITS, cache.hits, name)
            self._count(families.CACHE_MISSES, cache.misses, name)

    def _sharing(self) -> None:
        if (coalescer := self._stores.coalescer) is not None:
            shared = coalescer.sharing
            self._count(families.READS, shared.reads)
            self._count(families.READS_SENT, shared.sent)
            self._count(families.KEYS_SAVED, shared.keys_saved)
            self._count(families.READS_WAITED, shared.waited)
        if (answers := self._stores.answers) is not None:
            self._count(families.QUERIES_JOINED, answers.sharing.keys_saved)

    def _connections(self) -> None:
        mongo = mongo_use(self._stores.mongo)
        for family, limit, use in (
            (families.POSTGRES_CONNECTIONS, families.POSTGRES_LIMIT, postgres_use(self._stores.engine)),
            (families.MONGO_CONNECTIONS, families.MONGO_LIMIT, mongo),
        ):
            self._gauge(family, use.in_use, "checked_out")
            self._gauge(family, use.idle, "idle")
            self._gauge(limit, use.limit)
        for breaker in self._stores.breakers:
            self._gauge(families.WAITING, len(breaker.line), breaker.store)
            self._gauge(families.CUT_OFF, breaker.is_open, breaker.store)

    def _replicas(self) -> None:
        if (replicas := self._stores.replicas) is None:
            return
        for replica in replicas:
            self._gauge(families.REPLICA_LAG, nan if replica.lag is None else replica.lag, replica.name)
            self._gauge(families.REPLICA_USABLE, replica.is_usable, replica.name)
            self._count(families.REPLICA_READS, replica.reads, replica.name)
            self._count(families.REPLICA_FAILURES, replica.failures, replica.name)
        self._count(families.REPLICAS_MISSED, replicas.fallbacks)

    def _gauge(self, family: Family, value: float, *labels: str) -> None:
        self._slot.cells[self._slot.series(family, *labels)] = value

    def _count(self, family: Family, value: float, *labels: str) -> None:
        """`value` is what this process has counted. The slot goes on from what processes before it have."""
        index = self._slot.series(family, *labels)
        before = self._before.setdefault(index, self._slot.cells[index])
        self._slot.cells[index] = before + value


class LoopLag:
    """How late the event loop wakes up. While it runs something long, it does nothing else."""

    def __init__(self, slot: Slot) -> None:
        self._cells, self._first = slot.cells, slot.series(families.LOOP_LAG)
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_WAKES, self._wake, self._loop.time() + _WAKES)

    def _wake(self, due: float) -> None:
        now = self._loop.time()
        late = max(now - due, 0.0)
        self._cells[self._first] += late
        self._cells[self._first + 1 + bisect_left(families.LOOP_LAG.buckets, late)] += 1
        self._timer = self._loop.call_later(_WAKES, self._wake, now + _WAKES)

    def stop(self) -> None:
        """Look no longer."""
        self._timer.cancel()
