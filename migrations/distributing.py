"""Spreading PostgreSQL's tables over a cluster: a run of the steps of `distribution`, called from synchronous code.

Raises what the functions of `runner` raise. Each step is a transaction.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from api.config.settings import Settings
from migrations import distribution
from migrations.connection import LOCK_TIMEOUT, LOCK_WAIT, exclusive_connection
from migrations.errors import MigrationError, carry_out
from migrations.revisions import all_revisions, heads_of


def distribute(
    settings: Settings,
    say: Callable[[str], None],
    *,
    undo: bool = False,
    dry_run: bool = False,
    wait: float = LOCK_WAIT,
    lock_timeout: float = LOCK_TIMEOUT,
) -> None:
    """Spread PostgreSQL's tables over the workers of a Citus cluster, or with `undo` bring them back to one node.

    `say` gets a line for each step when it is done. A run that was interrupted goes on where it ended. With `dry_run`,
    the steps and their statements are said, and nothing is done.
    """
    carry_out(_distribute(settings, say, undo=undo, dry_run=dry_run, wait=wait, lock_timeout=lock_timeout))


async def _distribute(
    settings: Settings, say: Callable[[str], None], *, undo: bool, dry_run: bool, wait: float, lock_timeout: float
) -> None:
    def look(sync: Connection) -> list[distribution.Step]:
        distribution.require_coordinator(sync)
        if heads_of(sync, scripts) != tuple(scripts.get_heads()):
            raise MigrationError("the database is not at the newest revision: run `migrate run` first")
        steps = distribution.pending(sync)
        if dry_run:
            for line in distribution.undoing(sync) if undo else distribution.planned(sync, steps):
                say(line)
        sync.rollback()
        return steps

    scripts = all_revisions()
    async with exclusive_connection(settings, wait=wait, lock_timeout=lock_timeout) as connection:
        steps = await connection.run_sync(look)
        if dry_run:
            return
        if not undo:
            for step in steps:
                async with connection.begin():
                    await connection.run_sync(distribution.do, step)
                say(f"PostgreSQL: {step.name}")
            return
        while True:
            async with connection.begin():
                undone = await connection.run_sync(distribution.undo_last)
            if undone is None:
                return
            say(f"PostgreSQL: undone: {undone}")
