"""Instructions that a request takes, of the API and of the baseline: exact on a busy machine.

    python -m tests.benchmarks.instructions --only health --functions 20
    python -m tests.benchmarks.instructions --connections 64,16 --variety one,many --coalescing-off

The servers run under callgrind (of Debian's `valgrind`), which counts what is executed outside of the kernel. It makes
them fifty times slower, so some requests are counted, when all are warm. The load generator and the stores run as they
are, so over several connections more answers of the stores are there at a time than else.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from tests.benchmarks import load
from tests.benchmarks.bench import Bench, Process, bench
from tests.benchmarks.counted import Reads, reads_of
from tests.benchmarks.operations import Operation, operations
from tests.benchmarks.variety import Variety, requests_of
from tests.support.processes import COMMAND

BASELINE: Final = "baseline"
PATIENT: Final = {"BREAKER_PATIENCE": "60", "EXECUTION_TIMEOUT": "120", "HEALTH_TIMEOUT": "1.8"}
"""Nothing may be given up for being so slow."""
ALONE: Final = {**PATIENT, "SEARCH_INDEXING": "false"}
"""What is done by the clock would count fifty times as much in a process that is so slow."""
_TOTALS: Final = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


def under_callgrind(folder: Path) -> tuple[str, ...]:
    """The beginning of a command that is to be counted. It counts nothing before it is told to."""
    valgrind = shutil.which("valgrind")
    assert valgrind is not None, "callgrind is part of valgrind, which isn't installed"
    return (
        *(valgrind, "--tool=callgrind", "--instr-atstart=no", "--compress-strings=no", "--compress-pos=no"),
        f"--callgrind-out-file={folder}/callgrind.%p",
    )


@dataclass(frozen=True, slots=True)
class Counted:
    """Millions of instructions a request, the file that tells where, and what the stores were asked."""

    millions: float
    where: Path
    reads: Reads | None


def send(server: Process, requests: Sequence[bytes], count: int, connections: int) -> None:
    """Send so many requests, by turns."""
    outcome = asyncio.run(load.run(server.url, requests, count=count, connections=connections))
    assert outcome.statuses == {200}, outcome.answer
    assert not outcome.failed, outcome.answer


def count(server: Process, folder: Path, requests: Sequence[bytes], number: int, connections: int) -> Counted:
    """What a request takes, where so many are sent."""
    _control(server, "--instr=on")
    send(server, requests, number // 4 or 1, connections)  # translates the code anew
    before = reads_of(server)  # a scrape isn't to be counted
    _control(server, "--zero")
    send(server, requests, number, connections)
    _control(server, "--dump")
    after = reads_of(server)
    _control(server, "--instr=off")
    written = max(folder.glob(f"callgrind.{server.pid}.*"), key=lambda path: path.stat().st_mtime_ns)
    found = _TOTALS.search(written.read_text())
    assert found is not None
    reads = after.since(before, number) if after and before else None
    return Counted(int(found[1]) / number / 1e6, written, reads)


def _control(server: Process, *arguments: str) -> None:
    command = ["callgrind_control", *arguments, str(server.pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def compare(
    servers: dict[str, Process],
    bench: Bench,
    operation: Operation,
    variety: Variety,
    loads: Sequence[int],
    requests: int,
    warm: int,
    lines: int,
) -> None:
    """The operation over each number of connections; nothing where its requests can't differ so."""
    varied = requests_of(operation, variety, bench.rows, bench.designs)
    sent = {name: [bench.request(server, each) for each in varied] for name, server in servers.items()}
    for name, server in servers.items():
        if varied:
            send(server, sent[name], max(warm, len(varied)), max(loads))
    for connections in loads if varied else ():
        # a few for each connection, and the same ones for each server
        number = max(requests, 4 * connections)
        found = {name: count(server, bench.folder, sent[name], number, connections) for name, server in servers.items()}
        typer.echo(f"{operation.description}, {variety}, connections: {connections}")
        for name, counted in found.items():
            line = f"  {name:14} {counted.millions:6.2f} M  {counted.millions / found[BASELINE].millions:5.2f}"
            if (reads := counted.reads) is not None:
                line += f"  {reads.sql:.2f} SQL, {reads.mongo:.2f} MongoDB, {reads.joined:.2f} joined"
            typer.echo(line)
            if lines and name != BASELINE:
                show(counted.where, lines)


def show(written: Path, lines: int) -> None:
    """The C functions that executed most by themselves, as callgrind tells them apart."""
    annotate = ["callgrind_annotate", "--auto=no", "--threshold=95", str(written)]
    text = subprocess.run(annotate, capture_output=True, text=True, check=True).stdout
    typer.echo("\n".join([line[:150] for line in text.splitlines() if "%" in line][:lines]))


def main(
    only: Annotated[list[str] | None, typer.Option(help="Operations by name; all where none is given.")] = None,
    connections: Annotated[str, typer.Option(help="How many at the same time: numbers, with commas between.")] = "1",
    variety: Annotated[str, typer.Option(help="How requests differ: one, many, skewed, with commas between.")] = "one",
    coalescing_off: Annotated[bool, typer.Option("--coalescing-off", help="Count COALESCING=false, too.")] = False,
    observing_off: Annotated[
        bool, typer.Option("--observing-off", help="Count it without METRICS, and without SLOW_STATEMENT either, too.")
    ] = False,
    requests: Annotated[int, typer.Option(help="Requests that are counted, at least.")] = 40,
    warm: Annotated[int, typer.Option(help="Requests before that, at least.")] = 60,
    functions: Annotated[int, typer.Option(help="Lines of C functions for each operation.")] = 0,
    rows: Annotated[int, typer.Option(help="Rows in each table.")] = 2_000,
    designs: Annotated[int, typer.Option(help="Designs.")] = 400,
) -> None:
    """Print millions of instructions a request, their ratio to the baseline's, and what the stores were asked."""
    with bench(rows, designs) as ready:
        command = under_callgrind(ready.folder)
        api = (*command, sys.executable, COMMAND)
        servers = {"API": ready.api(replay=True, command=api, METRICS="true", **ALONE)}
        if coalescing_off:
            servers["not coalescing"] = ready.api(replay=True, command=api, METRICS="true", COALESCING="false", **ALONE)
        if observing_off:
            servers["no metrics"] = ready.api(replay=True, command=api, METRICS="false", **ALONE)
            nothing = {"METRICS": "false", "SLOW_STATEMENT": "0", **ALONE}
            servers["not observed"] = ready.api(replay=True, command=api, **nothing)
        servers[BASELINE] = ready.baseline(command=(*command, sys.executable))
        for operation in operations(ready.design_id):
            if only and operation.name not in only:
                continue
            for name in variety.split(","):
                loads = [int(number) for number in connections.split(",")]
                compare(servers, ready, operation, Variety(name), loads, requests, warm, functions)


if __name__ == "__main__":
    typer.run(main)
