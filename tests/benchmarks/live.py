"""Live updates with 1 and with 1,000 subscriptions on one process.

    python -m tests.benchmarks.live

Prints for items and for designs the memory of a subscription, the CPU time of an event, and how long after its commit
each receiver has the frame (median, 99th percentile, and the mean of the last one). Items are written by SQL and
designs by pymongo, so that the process only tells of them. All receivers are in this process, on the same machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, cast
from uuid import uuid4

import asyncpg
import orjson
import typer
import uvloop
from pymongo import AsyncMongoClient

from api.stores.mongodb.client import mongo_database
from documents.collection import PRE_IMAGES
from tests.benchmarks.bench import Bench, Process, bench
from tests.support.requests.sockets import HANDSHAKE, PROTOCOL, frame

ITEMS: Final = "subscription { catalogItemsChanged { kind itemId changedFields resumeToken item { name price } } }"
DESIGNS: Final = "subscription { designsChanged { kind designId version changedFields resumeToken design { name } } }"
SETTLED: Final = 1.0
"""Seconds without an event in which what is idle costs CPU time."""


class Receiver(asyncio.Protocol):
    """A socket with one subscription. It notes when the last event came, and only looks for the end of its frame."""

    def __init__(self, news: Receivers, query: str) -> None:
        self._news, self._query = news, query

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        messages: tuple[object, ...] = (
            {"type": "connection_init"},
            {"type": "subscribe", "id": "1", "payload": {"query": self._query}},
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


Write = Callable[[int], Awaitable[object]]


@contextlib.asynccontextmanager
async def items(bench: Bench) -> AsyncIterator[Write]:
    """What gives an item another price."""
    assert bench.settings.postgres_url is not None
    connection = await asyncpg.connect(bench.settings.postgres_url)
    try:
        item = uuid4()
        insert = "INSERT INTO catalog.catalog_items (id, name, type) VALUES ($1, 'Silk', 'fabric')"
        await connection.execute(insert, item)
        update = "UPDATE catalog.catalog_items SET price = $2 WHERE id = $1"
        yield partial(connection.execute, update, item)
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def designs(bench: Bench) -> AsyncIterator[Write]:
    """What gives a published design another name and version. Its state before is kept, as `migrate run` has it."""
    async with AsyncMongoClient[dict[str, Any]](bench.settings.mongodb_url) as client:
        database = mongo_database(bench.settings, client)
        options: dict[str, Any] = {PRE_IMAGES: {"enabled": True}}
        await database.command("collMod", "designs", **options)
        design = await database["designs"].find_one({"status": "published", "deletedAt": None}, ["_id"])
        assert design is not None

        async def write(number: int) -> None:
            change = {"$set": {"name": f"Silk {number}", "updatedAt": datetime.now(UTC)}, "$inc": {"version": 1}}
            await database["designs"].update_one(design, change)

        yield write


async def measure(name: str, query: str, write: Write, server: Process, count: int, events: int) -> None:
    receivers, port = Receivers(), int(server.url.rpartition(":")[2])
    before = server.resident()
    receivers.expect(count)
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: Receiver(receivers, query), "127.0.0.1", port))[1] for _ in range(count)
    ]
    await receivers.all()
    memory = (server.resident() - before) * 1000 / count
    idle = server.cpu()
    await asyncio.sleep(SETTLED)
    idle = (server.cpu() - idle) / SETTLED
    delays: list[float] = []
    lasts: list[float] = []
    used = server.cpu()
    for number in range(1, events + 1):
        receivers.expect(count)
        await write(number)
        committed = time.perf_counter()
        await receivers.all()
        found = [(arrived - committed) * 1000 for arrived in receivers.times]
        delays += found
        lasts.append(max(found))
    used = (server.cpu() - used) * 1000 / events
    for receiver in opened:
        receiver.close()
    cuts = statistics.quantiles(delays, n=100)
    typer.echo(
        f"{count:5} of {name} {memory:6.1f} kB each, idle {idle * 100:4.1f}% CPU, {used:7.2f} ms CPU an event "
        f"({used / count * 1000:7.1f} us each), delay median {statistics.median(delays):6.1f} ms, p99 {cuts[98]:6.1f} "
        f"ms, the last one {statistics.mean(lasts):6.1f} ms"
    )


async def run(bench: Bench, counts: list[int], events: int) -> None:
    most = str(max(counts) + 10)
    server = bench.api(
        replay=False,  # the proxy knows no change streams
        LOG_LEVEL="warning",
        SEARCH_INDEXING="false",
        MAX_SOCKETS=most,
        MAX_CONNECTIONS=most,
        MAX_CONNECTIONS_PER_ADDRESS=most,
        MAX_SUBSCRIPTIONS_PER_ACCOUNT=most,
    )
    for name, query, written in (("items", ITEMS, items), ("designs", DESIGNS, designs)):
        async with written(bench) as write:
            await measure(name, query, write, server, 1, 20)  # figures of a process that has just begun
            for count in counts:
                await measure(name, query, write, server, count, events)


def main(
    counts: Annotated[str, typer.Option(help="Numbers of subscriptions, with commas between.")] = "1,1000",
    events: Annotated[int, typer.Option(help="Events of each.")] = 100,
) -> None:
    """Print memory, CPU time and delay of live updates."""
    with bench(500, 50) as ready:
        uvloop.run(run(ready, [int(count) for count in counts.split(",")], events))


if __name__ == "__main__":
    typer.run(main)
