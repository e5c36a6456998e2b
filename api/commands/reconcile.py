"""What the command `fashion-wallet reconcile` prints."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from api.commands import development
from api.config.settings import Settings, load_settings
from api.log import configure_logging
from api.reconcile.report import Progress as Told
from api.reconcile.report import Report, Tally
from api.reconcile.run import reconcile
from api.server.signals import cancelled_by_signals
from api.stores.stores import open_stores


def run(*, repair: bool, json: bool, batch: int) -> int:
    """Reconcile the configured stores; where none is configured, the ones that `dev` uses. Returns the exit code."""
    settings = load_settings()
    configure_logging(settings)
    with cancelled_by_signals(), development.development_stores(settings) as complete:
        report = asyncio.run(_run(complete, repair=repair, batch=batch))
    typer.echo(orjson.dumps(report.as_dict()).decode() if json else "\n".join(lines(report, repair=repair)))
    return 1 if report.problems else 0


async def _run(settings: Settings, *, repair: bool, batch: int) -> Report:
    async with open_stores(settings) as stores:
        with shown() as progress:
            return await reconcile(stores, settings, repair=repair, batch=batch, progress=progress)


def lines(report: Report, *, repair: bool) -> list[str]:
    """The report in words: a line for each kind that was found, and a conclusion."""
    found = [_line(name, tally, repair=repair) for name, tally in report.kinds().items() if tally.found]
    if not report.problems:
        return [*found, "Both stores agree."]
    hint = "" if repair else "; --repair mends what can be mended without loss"
    return [*found, f"Problems that remain: {report.problems}{hint}."]


def _line(name: str, tally: Tally, *, repair: bool) -> str:
    what = f"{name.replace('_', ' ').capitalize()}: {tally.found}"
    if repair:
        what += f", repaired {tally.repaired}, remaining {tally.remaining}"
    return (
        f"{what} ({', '.join(tally.examples)}{', ...' if tally.found > len(tally.examples) else ''})"
        if (tally.examples)
        else what
    )


@contextlib.contextmanager
def shown() -> Iterator[Told]:
    """Bars on a terminal, nothing elsewhere: standard output is for the report."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def move(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=None)
            bars.update(tasks[what], completed=done, total=total)

        yield move
