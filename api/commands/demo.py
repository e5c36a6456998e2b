"""`fashion-wallet demo`. What it needs is imported when it runs, as in api/commands/main.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from api.config.settings import Settings
    from api.demo.loader import Summary


def demo(
    scale: Annotated[int, typer.Option(min=1, help="How many times the ordinary amount to load.")] = 1,
) -> None:
    """Load the demo data into both stores; what is there already stays as it is."""
    from api.commands.console import reported

    with reported():
        summary = run(scale)
    for line in report(summary):
        typer.echo(line)


def run(scale: int) -> Summary:
    """Load into the configured stores; where none is configured, into the ones that `dev` uses.

    Raises ConfigurationError in production, where there must be no accounts with a known password, and what
    `loader.load` and `embedded_stores` raise.
    """
    import asyncio

    from api.commands import development
    from api.config.settings import ConfigurationError, load_settings
    from api.server.signals import cancelled_by_signals
    from migrations.runner import upgrade

    settings = load_settings()
    if settings.is_production:
        raise ConfigurationError("ENVIRONMENT is production: demo accounts, whose password is known, are not for there")
    with cancelled_by_signals(), development.development_stores(settings) as complete:
        if complete is not settings:
            upgrade(complete)
        return asyncio.run(_load(complete, scale))


def report(summary: Summary) -> list[str]:
    """The summary in words, a line each."""
    from api.demo.names import ACCOUNTS
    from api.demo.users import DOMAIN

    counts = {
        "users": summary.users,
        "avatars": summary.avatars,
        "catalog items": summary.catalog_items,
        "designs": summary.designs,
    }
    if any(counts.values()):
        lines = [f"Inserted {', '.join(f'{count} {kind}' for kind, count in counts.items())}."]
    else:
        lines = ["Nothing to insert: the demo data is already there."]
    if summary.users:
        names = ", ".join(f"{role}@{DOMAIN}" for role, *_ in ACCOUNTS)
        lines.append(f"Sign in as {names}, with the password of DEMO_PASSWORD.")
    if summary.taken_emails:
        lines.append(f"Left out, as other accounts have their addresses: {', '.join(summary.taken_emails)}.")
    return lines


async def _load(settings: Settings, scale: int) -> Summary:
    from api.accounts.passwords import hasher
    from api.commands.progress import shown
    from api.demo.loader import load, pictures_of
    from api.stores.stores import open_stores

    async with open_stores(settings) as stores:
        with shown() as progress:
            return await load(
                stores,
                scale=scale,
                password=settings.demo_password.get_secret_value(),
                hasher=hasher(settings),
                pictures=pictures_of(settings),
                progress=progress,
            )
