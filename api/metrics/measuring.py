"""The metrics of a process: what counts, and what is shown to whoever scrapes."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left
from collections.abc import AsyncIterator, Mapping, Sized

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from api.background import in_background
from api.config.settings import Settings
from api.live.live import Live
from api.metrics import families, memory
from api.metrics.calls import CountedCalls
from api.metrics.exposition import Totals
from api.metrics.memory import Slot
from api.metrics.names import Names
from api.metrics.requests import Requests
from api.metrics.sampling import EVERY, Cache, LoopLag, Sampler, Traffic
from api.search.following import Lag
from api.stores.postgres.engine import GuardedPool
from api.stores.stores import Stores


class Metrics:
    """What this process counts, in the slot that it was given, else in memory of its own."""

    def __init__(self, settings: Settings) -> None:
        self.memory, number = memory.claimed or (memory.Memory(1), 0)
        self.slot = self.memory.slot(number)
        self.slot.begin()
        self._names = Names(settings, self.memory)
        self.requests = Requests(self.slot, self._names)
        self._sampler: Sampler | None = None

    @contextlib.asynccontextmanager
    async def measuring(
        self,
        stores: Stores,
        live: Live,
        traffic: Traffic,
        sockets: Sized,
        lag: Lag,
        caches: Mapping[str, Cache],
    ) -> AsyncIterator[None]:
        """Measure a process as long as the block runs, which is that of its lifespan."""
        sampler = self._sampler = Sampler(self.slot, stores, live, traffic, sockets, lag, caches)
        pool = stores.engine.pool
        assert isinstance(pool, GuardedPool)
        pool.waited = _Waits(self.slot)
        calls = CountedCalls(self.slot)
        stores.calls.time(calls)
        loop_lag = LoopLag(self.slot)
        try:
            async with in_background(self._sample()):
                yield
        finally:
            loop_lag.stop()
            pool.waited = None
            stores.calls.stop(calls)
            sampler.sample()  # the last counts
            self._sampler = None
            self.slot.release()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The figures of all processes, and their media type: OpenMetrics where that is accepted, else Prometheus'."""
        if self._sampler is not None:
            self._sampler.sample()
        if "application/openmetrics-text" in accept:
            text: bytes = openmetrics.generate_latest(Totals(self.memory))  # type: ignore[no-untyped-call]
            return text, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(Totals(self.memory)), CONTENT_TYPE_PLAIN_0_0_4

    async def _sample(self) -> None:
        assert self._sampler is not None
        while True:
            self._sampler.sample()
            self._names.refresh()
            await asyncio.sleep(EVERY)


class _Waits:
    """Counts how long a connection was waited for."""

    def __init__(self, slot: Slot) -> None:
        self._cells, self._first = slot.cells, slot.series(families.POSTGRES_WAITS)

    def __call__(self, seconds: float) -> None:
        self._cells[self._first] += seconds
        self._cells[self._first + 1 + bisect_left(families.POSTGRES_WAITS.buckets, seconds)] += 1
