"""The commands `fashion-wallet migrate ...`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.console import reported

if TYPE_CHECKING:
    from api.config.settings import Settings
    from documents.collection import CollectionState
    from migrations.runner import State

app = typer.Typer(
    name="migrate",
    help="Bring both stores to the tables, indexes and rules that the code expects.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Wait = Annotated[
    float | None, typer.Option(min=0, help="Seconds to wait for another migration to finish.", show_default="60")
]
LockTimeout = Annotated[
    float | None, typer.Option(min=0, help="Seconds to wait for a table that is in use.", show_default="10")
]
Message = Annotated[str, typer.Option("--message", "-m", help="What the revision does; names the file.")]


@app.command()
def run(
    revision: Annotated[str, typer.Option(help="Revision of PostgreSQL to go to.")] = "head",
    wait: Wait = None,
    lock_timeout: LockTimeout = None,
    timestamps_in: Annotated[
        str | None,
        typer.Option(
            help="Time zone of an adopted database's timestamps that don't say, Europe/Berlin for instance.",
            show_default="what the database says",
        ),
    ] = None,
) -> None:
    """Apply the pending revisions, and make MongoDB's collection, validator and indexes."""
    with reported(), _stores() as settings:
        from migrations.connection import LOCK_TIMEOUT, LOCK_WAIT
        from migrations.runner import upgrade

        lines = upgrade(
            settings,
            revision,
            wait=LOCK_WAIT if wait is None else wait,
            lock_timeout=LOCK_TIMEOUT if lock_timeout is None else lock_timeout,
            timestamps_in=timestamps_in,
        )
        _say_all(lines, "Nothing to do: both stores are up to date")


@app.command()
def revert(
    to: Annotated[str | None, typer.Option(help="Revision of PostgreSQL to go back to; base undoes all.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="How many revisions to undo.", show_default="1")] = None,
    wait: Wait = None,
    lock_timeout: LockTimeout = None,
) -> None:
    """Undo revisions of PostgreSQL, the last one by default. Tables they made are dropped with their rows."""
    if to is not None and steps is not None:
        raise typer.BadParameter("give either --to or --steps")
    with reported(), _stores() as settings:
        from migrations.connection import LOCK_TIMEOUT, LOCK_WAIT
        from migrations.runner import downgrade

        lines = downgrade(
            settings,
            to if to is not None else f"-{steps or 1}",
            wait=LOCK_WAIT if wait is None else wait,
            lock_timeout=LOCK_TIMEOUT if lock_timeout is None else lock_timeout,
        )
        _say_all(lines, "Nothing to do: the database is there already")


@app.command()
def distribute(
    undo: Annotated[
        bool, typer.Option("--undo", help="Bring everything back to one PostgreSQL and one shard of MongoDB.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the statements and commands, and change nothing.")
    ] = False,
    wait: Wait = None,
    lock_timeout: LockTimeout = None,
) -> None:
    """Spread what grows with users over the workers of a Citus cluster and the shards behind a mongos.

    Where only one of both is there, it does that one. Can be interrupted and repeated.
    """
    with reported(), _stores() as settings:
        from migrations.connection import LOCK_TIMEOUT, LOCK_WAIT
        from migrations.distributing import distribute as spread

        steps = spread(
            settings,
            typer.echo,
            undo=undo,
            dry_run=dry_run,
            wait=LOCK_WAIT if wait is None else wait,
            lock_timeout=LOCK_TIMEOUT if lock_timeout is None else lock_timeout,
        )
        if not steps:
            typer.echo("Nothing to do: nothing is distributed" if undo else "Nothing to do: all is distributed")


@app.command()
def show() -> None:
    """The revisions of PostgreSQL and the state of MongoDB's collection. Fails where a store does not answer."""
    with reported(), _stores() as settings:
        from migrations.runner import show as look

        state = look(settings)
        _show_postgres(state)
        _show_mongodb(state)
        if state.postgres_error or state.mongodb_error:
            raise typer.Exit(1)


@app.command()
def generate(message: Message) -> None:
    """Write a revision with the differences between the models and the database, where there are any."""
    with reported(), _stores() as settings:
        from migrations.runner import generate as write

        path = write(settings, message)
        typer.echo("No difference: nothing was written" if path is None else f"Written: {path}")


@app.command()
def create(message: Message) -> None:
    """Write an empty revision, to be filled in by hand."""
    with reported():
        from migrations.runner import create as write

        typer.echo(f"Written: {write(message)}")


@app.command()
def grants(
    role: Annotated[str, typer.Argument(help="Role that the API connects as, and that does not own the tables.")],
) -> None:
    """Print the SQL that gives a role the rights that the API needs, for psql and whoever owns the tables."""
    from sqlalchemy.dialects import postgresql

    from migrations.grants import grants as statements

    quoted = postgresql.dialect().identifier_preparer.quote(role)  # type: ignore[no-untyped-call]
    _say_all([f"{statement};" for statement in statements(quoted)], "")


@contextlib.contextmanager
def _stores() -> Iterator[Settings]:
    """Settings of the configured stores; in development, where none is, of the embedded ones that `dev` uses."""
    from api.commands.development import configured_stores
    from api.config.settings import load_settings

    with configured_stores(load_settings()) as settings:
        yield settings


def _say_all(lines: list[str], otherwise: str) -> None:
    typer.echo("\n".join(lines) if lines else otherwise)


def _show_postgres(state: State) -> None:
    typer.echo("PostgreSQL")
    if state.revisions is None:
        typer.echo(f"  {state.postgres_error}")
        return
    typer.echo(f"  current: {state.current or 'none'}")
    typer.echo(f"  pending: {len(state.pending)}")
    for revision in state.revisions:
        typer.echo(f"  [{'x' if revision.applied else ' '}] {revision.id} {revision.message}")


def _show_mongodb(state: State) -> None:
    typer.echo("MongoDB")
    if state.collection is None:
        typer.echo(f"  {state.mongodb_error}")
        return
    from documents.schemas import SCHEMAS

    found: CollectionState = state.collection
    for schema in SCHEMAS:
        typer.echo(f"  collection {schema.name}: {'missing' if schema.name in found.missing else 'present'}")
    typer.echo(f"  validator: {'current' if found.validator_current else 'outdated' if found.exists else 'missing'}")
    for index in found.indexes:
        by = f" ({index.found})" if index.found not in (None, index.name) else ""
        typer.echo(f"  index {index.name}: {index.status}{by}")
