"""Databases whose tables are distributed over the workers of a Citus cluster."""

from __future__ import annotations

from api.config.settings import Settings
from migrations import distributing
from tests.support.stores.databases import sql

SHARDS = 4
"""Of each table, in place of 32: two on each worker are as good for tests, and quicker to empty."""


def distribute(settings: Settings) -> list[str]:
    """Distribute the tables of a migrated database; the lines that `migrate distribute` prints."""
    name = (settings.postgres_url or "").rpartition("/")[2].partition("?")[0]
    sql(settings, f"ALTER DATABASE {name} SET citus.shard_count = {SHARDS}")
    lines: list[str] = []
    distributing.distribute(settings, lines.append)
    return lines
