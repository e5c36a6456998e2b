"""`fashion-wallet search ...`. What a command needs is imported when it runs, as in api/commands/main.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer

from api.commands.console import reported

if TYPE_CHECKING:
    from api.config.settings import Settings
    from api.stores.stores import Stores

T = TypeVar("T")

app = typer.Typer(
    name="search", help="What search knows of catalog items and designs: all of it is derived.", no_args_is_help=True
)


@app.callback()
def main() -> None:
    pass


@app.command()
def rebuild() -> None:
    """Make everything that search knows anew, while the API answers."""
    with reported():
        items, designs = _run(_rebuild)
    typer.echo(f"Indexed again: {items} catalog items, {designs} designs.")


@app.command()
def status() -> None:
    """Say how far search has followed designs. Exits with 1 where nobody follows them."""
    with reported():
        from api.search import feed

        found = _run(lambda stores, _: feed.status(stores.engine))
    if found is None or found.behind is None:
        typer.echo("Search knows no designs yet: a running server copies them, or `fashion-wallet search rebuild`.")
    else:
        typer.echo(f"Search knew every design {found.behind:.1f} s ago.")
    raise typer.Exit(0 if found is not None and found.is_followed else 1)


async def _rebuild(stores: Stores, settings: Settings) -> tuple[int, int]:
    from api.commands.progress import shown
    from api.search.rebuilding import rebuild

    with shown(kinds=("catalog items", "designs")) as progress:
        return await rebuild(stores, settings.search_language, progress)


def _run(work: Callable[[Stores, Settings], Awaitable[T]]) -> T:
    """Work on the configured stores; where none is configured, on those that `dev` uses."""
    import asyncio

    from api.commands import development
    from api.config.settings import load_settings
    from api.log import configure_logging
    from api.server.signals import cancelled_by_signals
    from api.stores.stores import open_stores

    settings = load_settings()
    configure_logging(settings)

    async def work_on(complete: Settings) -> T:
        async with open_stores(complete) as stores:
            return await work(stores, complete)

    with cancelled_by_signals(), development.development_stores(settings) as complete:
        return asyncio.run(work_on(complete))
