"""Showing how far a load is: bars on a terminal, a line for each kind anywhere else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from api.demo.generator import COUNTS
from api.demo.loader import Progress as Report


@contextlib.contextmanager
def shown(console: Console | None = None, kinds: Iterable[str] = COUNTS) -> Iterator[Report]:
    """What to give to `load` as its progress, for as long as the block lasts. Writes to standard output by default."""
    console = console or Console()
    if not console.is_terminal:

        def print_finished(kind: str, done: int, total: int) -> None:
            if done == total:
                console.print(f"{kind}: {done} of {total}", soft_wrap=True, highlight=False)

        yield print_finished
        return

    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {kind: bars.add_task(kind, total=None) for kind in kinds}

        def move(kind: str, done: int, total: int) -> None:
            bars.update(tasks[kind], completed=done, total=total)

        yield move
