"""What the API costs, as a multiple of the same answers written by hand.

    python -m tests.benchmarks.compare
    python -m tests.benchmarks.compare --connections 1,16,64 --variety one,many --coalescing-off
    python -m tests.benchmarks.compare --seconds 0.3 --rounds 1 --only oneDesign     # a short try

Starts PostgreSQL, SecantusDB, a replaying proxy before it, the API (as in production: rights, limits, errors and log
on) and the baseline, checks that they answer alike, then loads them by turns. What is measured is the CPU time of the
server's process, so that it matters little what else the machine does; ratios within one run mean more than
milliseconds. About 25 seconds a round, for each number of connections and each variety.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Annotated, Any, Final

import typer
import uvloop

from tests.benchmarks import load
from tests.benchmarks.bench import Bench, Process, bench
from tests.benchmarks.counted import Reads, reads_of
from tests.benchmarks.operations import Operation, comparable, operations
from tests.benchmarks.variety import Variety, requests_of

BASELINE: Final = "baseline"
COMPARED: Final = 5
"""Requests of an operation whose answers are compared; all of them are sent before anything is measured."""
WARM: Final = 0.5
"""Seconds of load before a server is measured."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request took, in milliseconds of CPU of the server's process and of latency, and had the stores asked.

    `busy` is the share of a core that the sender took: where that is near 1, the server could have done more.
    """

    cpu: float
    p50: float
    p99: float
    rate: float
    busy: float
    reads: Reads | None


@dataclass(frozen=True, slots=True)
class Case:
    """An operation as it was measured. `costs` has a list for each server, in it a cost for each round."""

    operation: Operation
    variety: Variety
    connections: int
    costs: dict[str, list[Cost]]

    def middle(self, server: str, figure: Callable[[Cost], float]) -> float:
        """The median of the rounds."""
        return median(map(figure, self.costs[server]))

    def ratios(self, server: str) -> list[float]:
        """CPU as a multiple of the baseline's, for each round."""
        pairs = zip(self.costs[server], self.costs[BASELINE], strict=True)
        return [ours.cpu / theirs.cpu for ours, theirs in pairs]


async def check(servers: dict[str, Process], requests: dict[str, list[bytes]]) -> None:
    """Send every request once, so that the proxy knows its reads; the first ones must be answered alike."""
    expected: list[Any] = []
    for name, server in servers.items():
        firsts = [await sent(server, [each], count=1, connections=1) for each in requests[name][:COMPARED]]
        answers = [comparable(outcome.answer) for outcome in firsts]
        expected = expected or answers
        assert answers == expected, (name, answers, expected)
        assert all(None not in answer.values() for answer in answers), answers
        await sent(server, requests[name], count=len(requests[name]))


async def measure(server: Process, requests: Sequence[bytes], seconds: float, connections: int) -> Cost:
    """What the requests cost when they are sent by turns for so long."""
    reads, cpu = reads_of(server), server.cpu()
    outcome = await sent(server, requests, seconds=seconds, connections=connections)
    used, after = server.cpu() - cpu, reads_of(server)
    latencies = sorted(outcome.latencies)
    return Cost(
        cpu=used / outcome.requests * 1000,
        p50=median(latencies) * 1000,
        p99=latencies[len(latencies) * 99 // 100] * 1000,
        rate=outcome.requests / outcome.seconds,
        busy=outcome.busy,
        reads=after.since(reads, outcome.requests) if after and reads else None,
    )


async def sent(server: Process, requests: Sequence[bytes], **how: Any) -> load.Outcome:
    """The outcome, in which nothing has failed."""
    outcome = await load.run(server.url, requests, **how)
    assert outcome.statuses == {200}, (server, outcome.statuses, outcome.answer[:500])
    assert not outcome.failed, (server, outcome.failed, outcome.answer[:500])
    return outcome


async def compare(
    bench: Bench,
    servers: dict[str, Process],
    operation: Operation,
    variety: Variety,
    loads: Sequence[int],
    rounds: int,
    seconds: float,
) -> list[Case]:
    """The operation over each number of connections; nothing where its requests can't differ so."""
    varied = requests_of(operation, variety, bench.rows, bench.designs)
    if not varied:
        return []
    requests = {name: [bench.request(server, each) for each in varied] for name, server in servers.items()}
    await check(servers, requests)
    cases = []
    for connections in loads:
        case = Case(operation, variety, connections, {name: [] for name in servers})
        for name, server in servers.items():
            await sent(server, requests[name], seconds=WARM, connections=connections)
        order = list(servers.items())
        for _ in range(rounds):
            for name, server in order:
                case.costs[name].append(await measure(server, requests[name], seconds, connections))
            order.reverse()
        show(case)
        cases.append(case)
    return cases


def show(case: Case) -> None:
    """A line for each server."""
    typer.echo(f"{case.operation.description}, {case.variety}, connections: {case.connections}")
    for name, costs in case.costs.items():
        cpu, rate = case.middle(name, lambda cost: cost.cpu), case.middle(name, lambda cost: cost.rate)
        p50, p99 = case.middle(name, lambda cost: cost.p50), case.middle(name, lambda cost: cost.p99)
        line = f"  {name:14} {cpu:6.2f} ms CPU  {rate:5.0f}/s  p50 {p50:6.1f} ms  p99 {p99:6.1f} ms"
        line += f"  sending {case.middle(name, lambda cost: cost.busy):3.0%}"
        if name != BASELINE:
            ratios = case.ratios(name)
            line += f"  ratio {median(ratios):4.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"
        if (reads := costs[-1].reads) is not None:
            line += f"  {reads.sql:.2f} SQL, {reads.mongo:.2f} MongoDB, {reads.joined:.2f} joined"
        typer.echo(line)


def show_table(cases: Sequence[Case], server: str) -> None:
    """The ratios of a server, a line an operation and a column a load."""
    columns = sorted({(case.connections, case.variety) for case in cases}, reverse=True)
    typer.echo(f"\n| {server} / {BASELINE} | {' | '.join(f'{number}, {variety}' for number, variety in columns)} |")
    typer.echo("|---|" + "---|" * len(columns))
    for description in dict.fromkeys(case.operation.description for case in cases):
        found = {
            (case.connections, case.variety): f"{median(case.ratios(server)):.2f}"
            for case in cases
            if case.operation.description == description
        }
        typer.echo(f"| {description} | {' | '.join(found.get(column, '') for column in columns)} |")


async def run(
    bench: Bench,
    only: Sequence[str],
    varieties: Sequence[Variety],
    loads: Sequence[int],
    rounds: int,
    seconds: float,
    coalescing_off: bool,
) -> None:
    """Measure everything that was asked for."""
    servers = {"API": bench.api(METRICS="true")}
    if coalescing_off:
        servers["not coalescing"] = bench.api(METRICS="true", COALESCING="false")
    servers[BASELINE] = bench.baseline()
    cases = [
        case
        for operation in operations(bench.design_id)
        if not only or operation.name in only
        for variety in varieties
        for case in await compare(bench, servers, operation, variety, loads, rounds, seconds)
    ]
    for server in servers:
        if server != BASELINE:
            show_table(cases, server)


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each is loaded in turn.")] = 3,
    seconds: Annotated[float, typer.Option(help="How long each time.")] = 2.5,
    rows: Annotated[int, typer.Option(help="Rows in each table.")] = 10_000,
    designs: Annotated[int, typer.Option(help="Designs.")] = 2_000,
    only: Annotated[list[str] | None, typer.Option(help="Operations by name; all where none is given.")] = None,
    connections: Annotated[str, typer.Option(help="How many at the same time: numbers, with commas between.")] = "16",
    variety: Annotated[str, typer.Option(help="How requests differ: one, many, skewed, with commas between.")] = "one",
    coalescing_off: Annotated[bool, typer.Option("--coalescing-off", help="Measure COALESCING=false, too.")] = False,
) -> None:
    """Print CPU and latency of a request, medians of the rounds, and the ratio of CPU to the baseline's."""
    try:
        loads = [int(number) for number in connections.split(",")]
        varieties = [Variety(name) for name in variety.split(",")]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    with bench(rows, designs) as ready:
        uvloop.run(run(ready, only or [], varieties, loads, rounds, seconds, coalescing_off))


if __name__ == "__main__":
    typer.run(main)
