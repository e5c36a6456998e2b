"""What the API costs, as a multiple of the same answers written by hand.

    python -m tests.benchmarks.compare

Starts PostgreSQL, SecantusDB, a replaying proxy before it, the API (as in production: rights, limits, errors and log
on) and the baseline, checks that both answer alike, then loads them by turns over 16 connections. What is measured is
the CPU time of the server's process, so that it matters little what else the machine does; ratios within one run
mean more than milliseconds. About 25 seconds a round.
"""

from __future__ import annotations

import statistics
from typing import Annotated

import typer
import uvloop

from tests.benchmarks import load
from tests.benchmarks.bench import Bench, Process, bench
from tests.benchmarks.operations import Operation, comparable, operations


async def check(bench: Bench, servers: list[Process], operation: Operation) -> int:
    """The length of the answer, which all must agree about."""
    answers = []
    for server in servers:
        outcome = await load.run(server.url, [bench.request(server, operation)], count=1, connections=1)
        assert outcome.statuses == {200}, (server, operation.name, outcome.answer)
        answers.append(outcome.answer)
    first, *others = map(comparable, answers)
    assert None not in first.values(), (operation.name, answers[0])
    for other in others:
        assert other == first, (operation.name, answers)
    return len(answers[0])


async def measure(bench: Bench, server: Process, operation: Operation, seconds: float) -> tuple[float, float, float]:
    """CPU ms a request, requests a second, and the median latency in ms."""
    before = server.cpu()
    outcome = await load.run(server.url, [bench.request(server, operation)], seconds=seconds)
    used = server.cpu() - before
    assert outcome.statuses == {200}, (server, operation.name, outcome.statuses, outcome.answer[:500])
    latency = statistics.median(outcome.latencies) * 1000
    return used / outcome.requests * 1000, outcome.requests / outcome.seconds, latency


async def compare(bench: Bench, rounds: int, seconds: float, names: list[str]) -> None:
    servers = {"api": bench.api(), "baseline": bench.baseline()}
    typer.echo(f"{'':36} {'API':>22} {'baseline':>22}   ratio of CPU (each round)")
    for operation in operations(bench.design_id):
        if names and operation.name not in names:
            continue
        length = await check(bench, list(servers.values()), operation)
        for server in servers.values():
            await measure(bench, server, operation, 1.0)  # warms up
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in servers}
        for number in range(rounds):
            order = list(servers.items()) if number % 2 == 0 else list(servers.items())[::-1]
            for name, server in order:
                found[name].append(await measure(bench, server, operation, seconds))
        ratios = [a[0] / b[0] for a, b in zip(found["api"], found["baseline"], strict=True)]
        columns = [
            "{:6.2f} ms CPU {:5.0f}/s".format(
                *(statistics.median(column) for column in list(zip(*rows, strict=True))[:2])
            )
            for rows in found.values()
        ]
        typer.echo(
            f"{operation.description:28} {length / 1000:5.1f} KB {columns[0]:>22} {columns[1]:>22}   "
            f"{statistics.median(ratios):5.2f}  ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"
        )


def main(
    rounds: Annotated[int, typer.Option(min=3, help="How often each is loaded in turn.")] = 3,
    seconds: Annotated[float, typer.Option(help="How long each time.")] = 2.5,
    rows: Annotated[int, typer.Option(help="Rows in each table.")] = 10_000,
    designs: Annotated[int, typer.Option(help="Designs.")] = 2_000,
    only: Annotated[list[str] | None, typer.Option(help="Operations by name; all where none is given.")] = None,
) -> None:
    """Print CPU time a request of both, medians of the rounds, and their ratio."""
    with bench(rows, designs) as ready:
        uvloop.run(compare(ready, rounds, seconds, only or []))


if __name__ == "__main__":
    typer.run(main)
