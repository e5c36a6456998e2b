"""Restoring a backup into empty stores. MongoDB comes first and PostgreSQL last, in one transaction: before that is
committed, no server serves what is there, as the database isn't migrated.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pymongo
from sqlalchemy import text

from api.backup import mongodb_restoring, postgres_restoring
from api.backup.errors import BackupError
from api.backup.manifest import Manifest
from api.backup.mongodb import COLLECTIONS
from api.backup.postgres import Progress
from api.backup.streams import Identity
from api.config.settings import Settings
from api.stores.mongodb.client import MongoDatabase, mongo_client, mongo_database, require_version
from migrations.connection import migration_engine
from models import SCHEMAS

_THERE: Final = text("""
    SELECT nspname || '.' || relname AS name, current_database() AS database,
        current_setting('server_version_num')::int AS version
    FROM (SELECT) AS nothing LEFT JOIN (
        pg_class c JOIN pg_namespace n ON n.oid = relnamespace AND nspname = ANY (:ours)
    ) ON true ORDER BY 1 LIMIT 1
""")


async def restore(
    settings: Settings,
    folder: Path,
    found: Manifest,
    keys: Sequence[Identity],
    progress: Progress,
    *,
    end_sessions: bool = False,
) -> list[str]:
    """Restore a backup that `check` has found whole. Migrations, search and `reconcile` are left to the caller.

    Returns a line for each thing that couldn't be as it was. Raises BackupError where a store isn't empty or what
    arrives isn't what was saved, and what the stores raise; then both stores are as they were.
    """
    client = mongo_client(settings)
    try:
        with pymongo.timeout(settings.mongodb_selection_timeout):
            await client.admin.command("ping")
            require_version(client)
        database = mongo_database(settings, client)
        await _require_empty_postgres(settings, found)
        await _require_empty_mongodb(database)
        lines = await mongodb_restoring.restore(database, folder, found, keys, progress)
        started: list[subprocess.Popen[bytes]] = []
        working = asyncio.create_task(
            asyncio.to_thread(
                postgres_restoring.restore,
                *(settings, folder, found, keys, progress, started.append),
                end_sessions=end_sessions,
            )
        )
        try:
            await asyncio.shield(working)
        except BaseException:
            for process in started:
                process.kill()
            await asyncio.wait([working])
            # it may have been committed just before
            if (await _look(settings)).name is None:
                await mongodb_restoring.drop(database, found)
            raise
        return lines
    finally:
        await client.close()


async def _require_empty_postgres(settings: Settings, found: Manifest) -> None:
    row = await _look(settings)
    if row.name is not None:
        raise BackupError(
            f"PostgreSQL's database {row.database} isn't empty, it has {row.name}: a backup is restored into a new "
            "database, which isn't migrated either. Nothing was changed"
        )
    if row.version // 10_000 < found.postgresql.version // 10_000:
        raise BackupError(
            f"PostgreSQL here is older ({row.version // 10_000}) than the one that was saved "
            f"({found.postgresql.version // 10_000}), and dumps go to the same or a newer one. Nothing was changed"
        )


async def _look(settings: Settings) -> Any:
    """The first `name` of what there is of ours in PostgreSQL, if there is anything."""
    async with migration_engine(settings) as engine, engine.connect() as connection:
        return (await connection.execute(_THERE, {"ours": list(SCHEMAS)})).one()


async def _require_empty_mongodb(database: MongoDatabase) -> None:
    there = sorted(set(await database.list_collection_names()) & set(COLLECTIONS))
    if there:
        raise BackupError(
            f"MongoDB's database {database.name} isn't empty, it has {', '.join(there)}: drop them if an interrupted "
            "restore left them, or choose another database. Nothing was changed"
        )
