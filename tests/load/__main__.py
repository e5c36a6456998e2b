"""What one process holds before the slowest hundredth of the answers takes 200 ms, and what happens beyond.

    uv run --group load python -m tests.load                  # three minutes
    uv run --group load python -m tests.load --soak 10m       # flat memory, and no connection left over

Visitors browse, search, edit and follow, and come at a rate, however long answers take. Everything is on this machine:
the process, both stores and the visitors share its cores.
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
from typing import Annotated

import psutil  # type: ignore[import-untyped]
import typer

from tests.benchmarks.bench import Process, bench
from tests.load.steps import Site, Step, step
from tests.support.servers import wait_until

SLOW = 200.0
"""Milliseconds that the slowest hundredth may take."""
GROWS = 1.3
STEPS = 14
ALL_FROM_HERE = {"MAX_CONNECTIONS_PER_ADDRESS": "5000", "MAX_CONNECTIONS": "5000"}
OF_CAPACITY = (1.5, 2.0, 3.0)


def say(what: str, came: Step) -> None:
    typer.echo(
        f"{what:>12}  {came.rate:6.0f} a second came  {came.goodput:6.0f} answered  "
        f"{came.shed:6} shed  {came.failed:4} failed  p50 {came.p50:5.0f} ms  p99 {came.p99:5.0f} ms  "
        f"(visitors {came.late:.0f} ms late at most)"
    )
    for error in came.errors[:3]:
        typer.echo(f"              {error}")


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
) -> None:
    """Print what a process does at growing rates, at a multiple of its capacity, and afterwards."""
    typer.echo(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    with bench(rows, designs, typer.echo) as the_bench:
        shedding = {"MAX_QUEUE_TIME": queue_time or str(the_bench.settings.max_queue_time)}
        server = the_bench.api(replay=False, **ALL_FROM_HERE, **shedding)
        site = asyncio.run(Site.of(the_bench.settings, accounts=200, designs=300))
        say("warming up", step(server.url, rate, site, seconds=seconds))
        if soak:
            _soak(server, minutes(soak), rate, site)
        else:
            _find(server, rate, seconds, site)
        wait_until(lambda: connections(server) == 0, "no connection is left over")
        typer.echo("No connection is left over.")


def _find(server: Process, rate: float, seconds: float, site: Site) -> None:
    held = None
    for _ in range(STEPS):
        came = step(server.url, rate, site, seconds=seconds)
        say("growing", came)
        if came.p99 > SLOW or came.shed or came.failed:
            break
        held, rate = came, rate * GROWS
    if held is None:
        typer.echo("The first rate was too much: begin with a smaller --rate.")
        raise typer.Exit(1)
    typer.echo(f"One process holds {held.rate:.0f} visitors a second with a p99 of {held.p99:.0f} ms.")
    for multiple in OF_CAPACITY:
        came = step(server.url, held.rate * multiple, site, seconds=seconds)
        say(f"{multiple:g} times", came)
    say("afterwards", step(server.url, held.rate / 2, site, seconds=seconds))


def _soak(server: Process, seconds: float, rate: float, site: Site) -> None:
    part = min(30.0, seconds / 4)
    first = 0.0
    for number in range(round(seconds / part)):
        came = step(server.url, rate, site, seconds=part)
        say(f"{(number + 1) * part:.0f} s", came)
        resident = server.resident()
        first = first or resident
        typer.echo(f"              {resident:.0f} MB, {resident / first:.3f} times the first")


if __name__ == "__main__":
    typer.run(main)
