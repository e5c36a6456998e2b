"""`fashion-wallet documents ...`. What a command needs is imported when it runs, as in api/commands/main.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from api.commands.console import reported

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from api.config.settings import Settings

T = TypeVar("T")

app = typer.Typer(
    name="documents",
    help="Trusted documents: those that clients ask for by identifier, and the only ones where they are enforced.",
    no_args_is_help=True,
)

Identifiers = Annotated[list[str], typer.Argument(help="Identifiers, as `list` prints them.", metavar="ID...")]


@app.callback()
def main() -> None:
    pass


@app.command()
def add(
    path: Annotated[
        Path, typer.Argument(help="Folder with *.graphql files or JSON manifests (Relay, Apollo, graphql-codegen).")
    ],
) -> None:
    """Register documents. Where one of them is not valid, none is, and it says what is wrong."""
    with reported():
        from api.admission.trusted import store
        from api.admission.trusted.files import read
        from api.config.settings import load_settings
        from api.schema import schema

        entries = read(path, schema.costs, load_settings())
        new = _run(lambda transaction: store.add(transaction, entries))
    known = len(entries) - new
    typer.echo(f"Registered: {new}" + (f"; {known} were there already" if known else "") + ".")


@app.command("list")
def list_command() -> None:
    """Print the registered documents: identifier, operations, time of registration."""
    with reported():
        from api.admission.trusted import store

        documents = _run(store.listed)
    for identifier, operations, since in documents:
        typer.echo(f"{identifier}  {operations}  {since:%Y-%m-%dT%H:%M:%SZ}")


@app.command()
def remove(identifiers: Identifiers) -> None:
    """Take documents out of the register. Where one of them is not registered, nothing changes."""
    with reported():
        from api.admission.trusted import store
        from api.admission.trusted.identifiers import normalised
        from api.errors import BadUserInput

        wanted = sorted({normalised(identifier) for identifier in identifiers})

        async def run(transaction: AsyncSession) -> None:
            missing = set(wanted) - await store.remove(transaction, wanted)
            if missing:
                raise BadUserInput(f"Not registered: {', '.join(sorted(missing))}")

        _run(run)
    typer.echo(f"Removed: {len(wanted)}.")


def _run(work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """The result of work in one transaction, on the configured server or else the embedded one."""
    import asyncio

    from api.commands.development import configured_stores
    from api.config.settings import load_settings

    with configured_stores(load_settings()) as settings:
        return asyncio.run(_transact(settings, work))


async def _transact(settings: Settings, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    from sqlalchemy.ext.asyncio import AsyncSession

    from api.stores.postgres.engine import postgres_engine
    from api.stores.postgres.schema_revisions import migrated

    engine = postgres_engine(settings, migrated)
    try:
        async with AsyncSession(engine) as session, session.begin():
            return await work(session)
    finally:
        await engine.dispose()
