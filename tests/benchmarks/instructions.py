"""Instructions that one request takes at one connection, of the API and of the baseline: exact on a busy machine.

    python -m tests.benchmarks.instructions --only health --functions 20

Both servers run under callgrind (of Debian's `valgrind`), which counts what is executed outside of the kernel. It makes
them fifty times slower, so a handful of requests is counted, when both are warm. The load generator and the stores run
as they are.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from tests.benchmarks import load
from tests.benchmarks.bench import Bench, Process, bench
from tests.benchmarks.operations import operations
from tests.support.processes import COMMAND

_TOTALS: Final = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


def under_callgrind(folder: Path) -> tuple[str, ...]:
    """The beginning of a command that is to be counted. It counts nothing before it is told to."""
    valgrind = shutil.which("valgrind")
    assert valgrind is not None, "callgrind is part of valgrind, which isn't installed"
    return (
        *(valgrind, "--tool=callgrind", "--instr-atstart=no", "--compress-strings=no", "--compress-pos=no"),
        f"--callgrind-out-file={folder}/callgrind.%p",
    )


def send(server: Process, request: bytes, count: int) -> None:
    """Send the request so often, over one connection."""
    outcome = asyncio.run(load.run(server.url, [request], count=count, connections=1))
    assert outcome.statuses == {200}, outcome.answer
    assert b'"errors"' not in outcome.answer, outcome.answer


def counted(server: Process, folder: Path, request: bytes, requests: int, warm: int) -> tuple[float, Path]:
    """Millions of instructions a request, and the file that tells where."""
    send(server, request, warm)
    _control(server, "--instr=on")
    send(server, request, requests // 4 or 1)  # translates the code anew
    _control(server, "--zero")
    send(server, request, requests)
    _control(server, "--dump")
    _control(server, "--instr=off")
    written = max(folder.glob(f"callgrind.{server.pid}.*"), key=lambda path: path.stat().st_mtime_ns)
    found = _TOTALS.search(written.read_text())
    assert found is not None
    return int(found[1]) / requests / 1e6, written


def _control(server: Process, *arguments: str) -> None:
    command = ["callgrind_control", *arguments, str(server.pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def compare(bench: Bench, names: list[str], requests: int, warm: int, lines: int) -> None:
    command = under_callgrind(bench.folder)
    # nothing may be given up for being so slow
    patient = {"BREAKER_PATIENCE": "60", "EXECUTION_TIMEOUT": "120", "HEALTH_TIMEOUT": "1.8"}
    api = bench.api(replay=True, command=(*command, sys.executable, COMMAND), **patient)
    baseline = bench.baseline(command=(*command, sys.executable))
    for operation in operations(bench.design_id):
        if names and operation.name not in names:
            continue
        ours, where = counted(api, bench.folder, bench.request(api, operation), requests, warm)
        theirs, _ = counted(baseline, bench.folder, bench.request(baseline, operation), requests, warm)
        typer.echo(f"{operation.description:36} {ours:6.2f} M {theirs:6.2f} M {ours / theirs:6.2f}")
        if lines:
            show(where, lines)


def show(written: Path, lines: int) -> None:
    """The C functions that executed most by themselves, as callgrind tells them apart."""
    annotate = ["callgrind_annotate", "--auto=no", "--threshold=95", str(written)]
    text = subprocess.run(annotate, capture_output=True, text=True, check=True).stdout
    typer.echo("\n".join([line[:150] for line in text.splitlines() if "%" in line][:lines]))


def main(
    only: Annotated[list[str] | None, typer.Option(help="Operations by name; all where none is given.")] = None,
    requests: Annotated[int, typer.Option(help="Requests that are counted.")] = 40,
    warm: Annotated[int, typer.Option(help="Requests before that.")] = 60,
    functions: Annotated[int, typer.Option(help="Lines of C functions for each operation.")] = 0,
    rows: Annotated[int, typer.Option(help="Rows in each table.")] = 2_000,
    designs: Annotated[int, typer.Option(help="Designs.")] = 400,
) -> None:
    """Print millions of instructions a request, of both, and their ratio."""
    with bench(rows, designs) as ready:
        compare(ready, only or [], requests, warm, functions)


if __name__ == "__main__":
    typer.run(main)
