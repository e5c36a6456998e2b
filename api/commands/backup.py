"""`fashion-wallet backup` and `restore`. What they need is imported when they run, as in api/commands/main.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.console import reported

if TYPE_CHECKING:
    from api.backup.manifest import Manifest
    from api.config.settings import Settings
    from api.reconcile.report import Report


def backup(
    folder: Annotated[Path, typer.Argument(help="Folder to make; it must not be there yet.")],
    encrypt_to: Annotated[
        Path | None, typer.Option(help="File with the public keys (age, SSH) that it is encrypted to.")
    ] = None,
) -> None:
    """Save both stores to a new folder, while the API serves."""
    with reported():
        import asyncio

        from api.backup.saving import save
        from api.backup.streams import recipients
        from api.commands import development
        from api.commands.reconcile import shown
        from api.server.signals import cancelled_by_signals

        settings = _settings()
        to = recipients(encrypt_to) if encrypt_to is not None else []
        with (
            cancelled_by_signals(),
            development.development_stores(settings) as complete,
            shown() as progress,
        ):
            made = asyncio.run(save(complete, folder, to, progress))
    for line in summary(made, folder):
        typer.echo(line)


def restore(
    folder: Annotated[Path, typer.Argument(help="Folder of a backup.")],
    identity: Annotated[
        Path | None, typer.Option(help="File with the private key (age) of an encrypted backup.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only find out whether it is whole and can be decrypted.")
    ] = False,
    end_sessions: Annotated[
        bool,
        typer.Option("--end-sessions", help="Sign everybody out: who signed out after the backup would be in again."),
    ] = False,
) -> None:
    """Restore both stores from a backup, into empty ones. Exits with 1 where `reconcile` finds problems afterwards."""
    with reported():
        import asyncio

        from api.backup import checking
        from api.backup.restoring import restore as run
        from api.backup.streams import identities
        from api.commands import development
        from api.commands.reconcile import lines, shown
        from api.server.signals import cancelled_by_signals
        from migrations.runner import upgrade

        settings = _settings()
        keys = identities(identity) if identity is not None else []
        with cancelled_by_signals():
            with shown() as progress:
                found = checking.check(folder, keys if keys or not check else None, progress)
            if check:
                typer.echo(
                    f"{folder} is whole." if keys or not found.encrypted else f"{folder} is whole, and encrypted."
                )
                return
            with development.development_stores(settings) as complete:
                with shown() as progress:
                    notes = asyncio.run(run(complete, folder, found, keys, progress, end_sessions=end_sessions))
                notes += upgrade(complete)
                report = asyncio.run(_finish(complete))
    for line in (*notes, "Restored.", *lines(report, repair=False)):
        typer.echo(line)
    raise typer.Exit(1 if report.problems else 0)


def summary(made: Manifest, folder: Path) -> list[str]:
    """What a backup holds, in words."""
    size = sum(file.bytes for file in made.files.values())
    rows = sum(table.count for table in made.postgresql.tables.values())
    designs = made.mongodb.collections.get("designs")
    together = "as of one moment" if made.mongodb.snapshot else "while they may have changed"
    return [
        f"Saved {rows} rows and {designs.count if designs else 0} designs to {folder} ({size:,} bytes).",
        f"Everything that was acknowledged before {made.began:%Y-%m-%d %H:%M:%S} UTC is in it. Designs were read until "
        f"{made.mongodb.ended:%H:%M:%S}, {together}; rows are as of {made.postgresql.at:%H:%M:%S}.",
    ]


async def _finish(settings: Settings) -> Report:
    """Make what is derived, and look whether both stores agree."""
    from api.commands.reconcile import shown
    from api.reconcile.run import reconcile
    from api.search.rebuilding import rebuild
    from api.stores.stores import open_stores

    async with open_stores(settings) as stores:
        with shown() as progress:
            await rebuild(stores, settings.search_language, progress)
            return await reconcile(stores, settings, repair=False, progress=progress)


def _settings() -> Settings:
    from api.config.settings import load_settings
    from api.log import configure_logging

    settings = load_settings()
    configure_logging(settings)
    return settings
