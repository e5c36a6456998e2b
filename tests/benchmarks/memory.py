"""Whether the server's memory stays what it is, over 100,000 requests of every kind.

    python -m tests.benchmarks.memory

Prints what the process occupies every 10,000 requests: reads of all the benchmark's operations, operations that were
never seen before (which every cache must forget again), and ones that are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import orjson
import typer
import uvloop

from tests.benchmarks import load
from tests.benchmarks.bench import Bench, Process, bench
from tests.benchmarks.operations import operations

FRESH = 20
"""Of so many requests, one is an operation that was never sent before, and one has an error."""


def requests(bench: Bench, server: Process, start: int, count: int) -> Iterator[bytes]:
    """So many requests; those that differ from all others carry their number, from `start` on."""
    known = [bench.request(server, operation) for operation in operations(bench.design_id)]
    for number in range(start, start + count):
        match number % FRESH:
            case 0:
                query = f"query fresh{number} {{ catalogItems(first: 2) {{ nodes {{ alias{number}: id name }} }} }}"
                yield load.post(server.url, orjson.dumps({"query": query}))
            case 1:
                yield load.post(server.url, orjson.dumps({"query": f'{{ user(id: "nobody {number}") {{ id }} }}'}))
            case _:
                yield known[number % len(known)]


async def watch(bench: Bench, total: int, each: int) -> None:
    server = bench.api(LOG_LEVEL="warning")
    sizes: list[float] = []
    for start in range(0, total, each):
        outcome = await load.run(server.url, list(requests(bench, server, start, each)), count=each)
        assert outcome.statuses == {200}, (outcome.statuses, outcome.answer[:500])
        sizes.append(server.resident())
        typer.echo(
            f"{start + each:9,} requests {sizes[-1]:8.1f} MB  {server.cpu() * 1000 / (start + each):6.2f} ms CPU each"
        )
    settled, last = sizes[len(sizes) // 2], sizes[-1]
    typer.echo(f"second half: {last - settled:+.1f} MB ({(last / settled - 1):+.1%})")


def main(
    total: Annotated[int, typer.Option(help="Requests in all.")] = 100_000,
    each: Annotated[int, typer.Option(help="Requests between two lines.")] = 10_000,
) -> None:
    """Print the memory of the server's process as it works."""
    with bench(2_000, 500) as ready:
        uvloop.run(watch(ready, total, each))


if __name__ == "__main__":
    typer.run(main)
