"""Live updates with 1 and with 1,000 subscriptions on one process.

    python -m tests.benchmarks.live

Prints the memory of a subscription, the CPU time of an event, and how long after its commit each receiver has the
frame (median, 99th percentile, and the mean of the last one). All receivers are in this process, on the same machine.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Annotated, Final, cast
from uuid import uuid4

import asyncpg
import orjson
import typer
import uvloop

from tests.benchmarks.bench import Bench, Process, bench
from tests.support.requests.sockets import HANDSHAKE, PROTOCOL, frame

QUERY: Final = "subscription { catalogItemsChanged { kind itemId changedFields resumeToken item { name price } } }"
SETTLED: Final = 1.0
"""Seconds without an event in which what is idle costs CPU time."""


class Receiver(asyncio.Protocol):
    """A socket with one subscription. It notes when the last event came, and only looks for the end of its frame."""

    def __init__(self, news: Receivers) -> None:
        self._news = news
        self.seen = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        messages: tuple[object, ...] = (
            {"type": "connection_init"},
            {"type": "subscribe", "id": "1", "payload": {"query": QUERY}},
        )
        self._later = [frame(1, orjson.dumps(message)) for message in messages]
        self._transport = cast("asyncio.Transport", transport)  # uvloop's isn't one
        self._transport.write(HANDSHAKE + b"sec-websocket-protocol: " + PROTOCOL.encode() + b"\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        if self._later and (b"101" in data or b"connection_ack" in data):
            self._transport.write(self._later.pop(0))
        if b'"next"' in data:
            self._news.arrived(data.count(b'"next"'))

    def close(self) -> None:
        self._transport.abort()


class Receivers:
    """All sockets, and when an event has come to each of them."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._wanted = 0
        self._all = asyncio.Event()

    def expect(self, count: int) -> None:
        self.times, self._wanted = [], count
        self._all.clear()

    def arrived(self, count: int) -> None:
        self.times += [time.perf_counter()] * count
        if len(self.times) >= self._wanted:
            self._all.set()

    async def all(self) -> None:
        async with asyncio.timeout(60):
            await self._all.wait()


async def measure(bench: Bench, server: Process, count: int, events: int) -> None:
    assert bench.settings.postgres_url is not None
    receivers, port = Receivers(), int(server.url.rpartition(":")[2])
    connection = await asyncpg.connect(bench.settings.postgres_url)
    item = uuid4()
    await connection.execute("INSERT INTO catalog.catalog_items (id, name, type) VALUES ($1, 'Silk', 'fabric')", item)
    before = server.resident()
    receivers.expect(count)
    loop = asyncio.get_running_loop()
    opened = [(await loop.create_connection(lambda: Receiver(receivers), "127.0.0.1", port))[1] for _ in range(count)]
    await receivers.all()
    memory = (server.resident() - before) * 1000 / count
    idle = server.cpu()
    await asyncio.sleep(SETTLED)
    idle = (server.cpu() - idle) / SETTLED
    delays: list[float] = []
    lasts: list[float] = []
    used = server.cpu()
    for price in range(1, events + 1):
        receivers.expect(count)
        await connection.execute("UPDATE catalog.catalog_items SET price = $2 WHERE id = $1", item, price)
        committed = time.perf_counter()
        await receivers.all()
        found = [(arrived - committed) * 1000 for arrived in receivers.times]
        delays += found
        lasts.append(max(found))
    used = (server.cpu() - used) * 1000 / events
    for receiver in opened:
        receiver.close()
    await connection.close()
    cuts = statistics.quantiles(delays, n=100)
    typer.echo(
        f"{count:5} subscriptions {memory:6.1f} kB each, idle {idle * 100:4.1f}% CPU, {used:7.2f} ms CPU an event "
        f"({used / count * 1000:7.1f} us each), delay median {statistics.median(delays):6.1f} ms, p99 {cuts[98]:6.1f} "
        f"ms, the last one {statistics.mean(lasts):6.1f} ms"
    )


async def run(bench: Bench, counts: list[int], events: int) -> None:
    most = str(max(counts) + 10)
    server = bench.api(
        LOG_LEVEL="warning",
        SEARCH_INDEXING="false",
        MAX_SOCKETS=most,
        MAX_CONNECTIONS=most,
        MAX_CONNECTIONS_PER_ADDRESS=most,
        MAX_SUBSCRIPTIONS_PER_ACCOUNT=most,
    )
    await measure(bench, server, 1, 20)  # so that the first figures aren't those of a process that has just begun
    for count in counts:
        await measure(bench, server, count, events)


def main(
    counts: Annotated[str, typer.Option(help="Numbers of subscriptions, with commas between.")] = "1,1000",
    events: Annotated[int, typer.Option(help="Events of each.")] = 100,
) -> None:
    """Print memory, CPU time and delay of live updates."""
    with bench(500, 50) as ready:
        uvloop.run(run(ready, [int(count) for count in counts.split(",")], events))


if __name__ == "__main__":
    typer.run(main)
