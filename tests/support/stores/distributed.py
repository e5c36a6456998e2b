"""Databases whose tables are distributed over the workers of a Citus cluster."""

from __future__ import annotations

import asyncpg

from api.config.settings import Settings
from migrations import distributing
from tests.support.stores.databases import sql

SHARDS = 4
"""Of each table, in place of 32: two on each worker are as good for tests, and quicker to empty."""

UNRECORDED = "SET LOCAL app.audited = 'on'"
"""Lets the SQL of a test change avatars in the same transaction, though nobody writes it to the audit log. On one
PostgreSQL it does nothing: triggers write the log."""


async def lock_waits(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    """How many statements wait for a lock, on whichever node."""
    here: int = await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
    if here or not await connection.fetchval("SELECT current_setting('app.distributed', true) = 'on'"):
        return here
    elsewhere: int = await connection.fetchval("SELECT count(*) FROM citus_lock_waits")
    return elsewhere


def distribute(settings: Settings) -> list[str]:
    """Distribute the tables of a migrated database; the lines that `migrate distribute` prints."""
    name = (settings.postgres_url or "").rpartition("/")[2].partition("?")[0]
    sql(settings, f"ALTER DATABASE {name} SET citus.shard_count = {SHARDS}")
    lines: list[str] = []
    distributing.distribute(settings, lines.append)
    return lines
