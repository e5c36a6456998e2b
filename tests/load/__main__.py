"""What one process holds before the slowest hundredth of the answers takes 200 ms, and what happens beyond.

    uv run --group load python -m tests.load                  # three minutes
    uv run --group load python -m tests.load --soak 10m       # flat memory, and no connection left over
    uv run --group load python -m tests.load --soak 20s --distributed    # on Citus: what each node takes

Visitors browse, search, edit and follow, and come at a rate, however long answers take. Everything is on this machine:
the process, both stores and the visitors share its cores.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import psutil  # type: ignore[import-untyped]
import typer

from api.config.settings import Settings
from tests.benchmarks.bench import Bench, Process, bench, cpu
from tests.load.steps import Site, Step, step
from tests.support.servers import wait_until
from tests.support.stores.databases import scalar, sql

SLOW = 200.0
"""Milliseconds that the slowest hundredth may take."""
GROWS = 1.3
STEPS = 14
ALL_FROM_HERE = {"MAX_CONNECTIONS_PER_ADDRESS": "5000", "MAX_CONNECTIONS": "5000"}
OF_CAPACITY = (1.5, 2.0, 3.0)
AFTERWARDS = 12
"""Seconds that are looked at after it was too much."""


@dataclass
class Measured:
    """Steps of load, and what the processes take for them."""

    bench: Bench
    server: Process
    site: Site

    def step(self, what: str, rate: float, **limit: Any) -> Step:
        """Print what comes of a step, and what an answer takes."""
        before = self._cpu()
        came = step(self.server.url, rate, self.site, **limit)
        after = self._cpu()
        typer.echo(
            f"{what:>12}  {came.rate:6.0f} a second came  {came.goodput:6.0f} answered  "
            f"{came.shed:6} shed  {came.failed:4} failed  p50 {came.p50:5.0f} ms  p99 {came.p99:5.0f} ms  "
            f"(visitors {came.late:.0f} ms late at most)"
        )
        for error in came.errors[:3]:
            typer.echo(f"              {error}")
        each = ", ".join(
            f"{name} {(after[name] - used) * 1000 / max(came.answered, 1):.1f}" for name, used in before.items()
        )
        typer.echo(f"              CPU ms an answer: {each}; the process occupies {self.server.resident():.0f} MB")
        return came

    def _cpu(self) -> dict[str, float]:
        return {"API": self.server.cpu()} | {name: cpu(pid) for name, pid in self.bench.servers.items()}


def minutes(text: str) -> float:
    """Seconds of `90s` or `10m`."""
    found = re.fullmatch(r"(\d+)([sm])", text)
    if found is None:
        raise typer.BadParameter("must be a duration such as 90s or 10m")
    return int(found[1]) * (60 if found[2] == "m" else 1)


def connections(server: Process) -> int:
    port = int(server.url.rpartition(":")[2])
    found = psutil.Process(server.pid).net_connections("tcp")
    return sum(each.laddr.port == port and each.status != psutil.CONN_LISTEN for each in found)


def main(
    soak: Annotated[str, typer.Option(help="Only load it for so long, at --rate, and look at memory.")] = "",
    rate: Annotated[float, typer.Option(help="Visitors a second: of a soak, or of the first step.")] = 20,
    seconds: Annotated[float, typer.Option(help="How long a step takes.")] = 6,
    rows: Annotated[int, typer.Option(help="Rows in each table.")] = 10_000,
    designs: Annotated[int, typer.Option(help="Designs.")] = 2_000,
    queue_time: Annotated[str, typer.Option(help="MAX_QUEUE_TIME of the process, if not the default.")] = "",
    distributed: Annotated[bool, typer.Option(help="On a Citus cluster of a coordinator and two workers.")] = False,
) -> None:
    """Print what a process does at growing rates, at a multiple of its capacity, and afterwards."""
    typer.echo(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    with bench(rows, designs, typer.echo, distributed=distributed) as the_bench:
        if distributed:
            name = scalar(the_bench.settings, "SELECT quote_ident(current_database())")
            sql(the_bench.settings, f"ALTER DATABASE {name} SET citus.enable_stat_counters = on")
        shedding = {"MAX_QUEUE_TIME": queue_time or str(the_bench.settings.max_queue_time)}
        server = the_bench.api(replay=False, **ALL_FROM_HERE, **shedding)
        site = asyncio.run(Site.of(the_bench.settings, accounts=200, designs=300))
        measured = Measured(the_bench, server, site)
        measured.step("warming up", rate, seconds=seconds)
        with counting_shards(the_bench.settings) if distributed else contextlib.nullcontext():
            if soak:
                _soak(measured, minutes(soak), rate)
            else:
                _find(measured, rate, seconds)
        wait_until(lambda: connections(server) == 0, "no connection is left over")
        typer.echo("No connection is left over.")


def _find(measured: Measured, rate: float, seconds: float) -> None:
    held = None
    for _ in range(STEPS):
        came = measured.step("growing", rate, seconds=seconds)
        if _too_much(came):  # a few hundred answers have a handful in the last hundredth, so it gets a second chance
            came = measured.step("once more", rate, seconds=seconds)
        if _too_much(came):
            break
        held, rate = came, rate * GROWS
    if held is None:
        typer.echo("The first rate was too much: begin with a smaller --rate.")
        raise typer.Exit(1)
    typer.echo(f"One process holds {held.rate:.0f} visitors a second with a p99 of {held.p99:.0f} ms.")
    for multiple in OF_CAPACITY:
        measured.step(f"{multiple:g} times", held.rate * multiple, seconds=seconds)
    half = {"rate": held.rate / 2, "seconds": AFTERWARDS}
    came = measured.step(f"{OF_CAPACITY[-1]:g} and half", held.rate * OF_CAPACITY[-1], seconds=seconds, then=half)
    match recovery(came, round(seconds)):
        case after, slowest:
            typer.echo(f"Recovered: who came {after} s after it was half again was answered within {slowest:.0f} ms.")
        case None:
            typer.echo(f"It hasn't recovered within {AFTERWARDS} s.")
    measured.step("afterwards", held.rate / 2, seconds=seconds)


def _too_much(came: Step) -> bool:
    return bool(came.p99 > SLOW or came.shed or came.failed)


def recovery(came: Step, fell: int) -> tuple[int, float] | None:
    """How many seconds after that in which fewer visitors came all was as it should be, for those who came in that
    second, and their slowest answer in milliseconds."""
    for second, (slowest, shed, failed) in sorted(came.by_second.items()):
        if second >= fell and slowest <= SLOW and not shed and not failed:
            return second - fell, slowest
    return None


def _soak(measured: Measured, seconds: float, rate: float) -> None:
    part = min(30.0, seconds / 4)
    first = 0.0
    for number in range(round(seconds / part)):
        measured.step(f"{(number + 1) * part:.0f} s", rate, seconds=part)
        resident = measured.server.resident()
        first = first or resident
        typer.echo(f"              memory is {resident / first:.3f} times that of the first part")


@contextlib.contextmanager
def counting_shards(settings: Settings) -> Iterator[None]:
    """Print how many statements asked one shard and several meanwhile, by Citus' own counters."""
    query = "SELECT sum(query_execution_single_shard), sum(query_execution_multi_shard) FROM citus_stat_counters"
    (before,) = sql(settings, query)
    yield
    (after,) = sql(settings, query)
    one, several = (int(now) - int(then) for now, then in zip(after, before, strict=True))
    typer.echo(f"Statements on distributed tables: {one} asked one shard, {several} several.")


if __name__ == "__main__":
    typer.run(main)
