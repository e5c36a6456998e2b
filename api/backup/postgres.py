"""PostgreSQL's part of a backup: `pg_dump`'s custom format of one snapshot, with counts and digests of the same one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.backup.digests import ROWS_READ, of_table
from api.backup.errors import BackupError
from api.backup.manifest import Contents, PostgresPart, StoredFile
from api.backup.programs import environment, program
from api.backup.streams import Recipient, writing
from api.config.settings import Settings
from api.stores.postgres.schema_revisions import known
from migrations.connection import migration_engine
from models import SCHEMAS

FILE: Final = "postgresql.dump"
EXTENSIONS: Final = ("pg_trgm",)
NOT_KEPT: Final = ("design.design_search", "design.search_feed")
"""Tables whose rows follow MongoDB, up to a place in that server's history. They are made anew."""
LOCK_WAIT: Final = 60_000
"""Milliseconds that pg_dump waits for a table that a migration holds."""

Progress = Callable[[str, int, int | None], None]
"""Called with what is saved, how much of it is done, and how much there is, if that is known."""

_SERVER: Final = text("""
    SELECT current_setting('server_version') AS server, current_setting('server_version_num')::int AS version,
        now() AS at, to_regclass('shared.alembic_version') IS NOT NULL AS is_migrated
""")
_REVISION: Final = text("SELECT version_num FROM shared.alembic_version")
_SCHEMAS: Final = text("SELECT nspname FROM pg_namespace WHERE nspname = ANY (:ours) ORDER BY nspname")
_TABLES: Final = text("""
    SELECT nspname || '.' || relname AS name, format('%I.%I', nspname, relname) AS quoted
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = ANY (:ours) AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1
""")
_EXTENSIONS: Final = text("""
    SELECT extname, nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = ANY (:ours)
""")
_PRIVATE_FUNCTIONS: Final = text("""
    SELECT format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(p.oid))
    FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
    WHERE nspname = ANY (:ours) AND proacl IS NOT NULL
        AND NOT EXISTS (SELECT FROM aclexplode(proacl) AS granted WHERE granted.grantee = 0)
    ORDER BY 1
""")
_OURS: Final[Mapping[str, Any]] = {"ours": list(SCHEMAS)}
_DUMPING: Final = re.compile(r"dumping contents of table")


async def save(
    settings: Settings, folder: Path, to: Sequence[Recipient], name: str, progress: Progress
) -> tuple[PostgresPart, StoredFile]:
    """Write the dump into the file `name` of the folder.

    Raises BackupError where there is no `pg_dump` for this server or it fails, and what connecting raises.
    """
    variables = environment(settings)
    async with migration_engine(settings) as engine, engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        # the transaction only waits while pg_dump begins, which takes over its snapshot
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        for statement in ROWS_READ:
            await connection.execute(text(statement))
        part = await _describe(connection)
        snapshot = str(await connection.scalar(text("SELECT pg_export_snapshot()")))
        tables = await _rows(connection, _TABLES)
        kept = [table for table in tables if table.name not in NOT_KEPT]
        dumping = asyncio.create_task(
            _dump(
                program("pg_dump", part.version // 10_000, settings.embedded_postgres_bin),
                part,
                snapshot,
                folder / name,
                to,
                variables,
                lambda done: progress("tables saved", min(done, len(kept)), len(kept)),
            )
        )
        try:
            contents = {}
            for number, table in enumerate(kept, 1):
                row = (await connection.execute(text(of_table(table.quoted)))).one()
                contents[table.name] = Contents(count=row.count, digest=row.digest)
                progress("tables counted", number, len(kept))
            stored = await dumping
        finally:
            if not dumping.done():
                dumping.cancel()
                await asyncio.wait([dumping])
    progress("tables saved", len(kept), len(kept))
    return part.model_copy(update={"tables": contents}), stored


async def _describe(connection: AsyncConnection) -> PostgresPart:
    server = (await connection.execute(_SERVER)).one()
    if not server.is_migrated:
        raise BackupError("PostgreSQL has nothing to save: it isn't migrated")
    revisions = [row.version_num for row in await _rows(connection, _REVISION)]
    if len(revisions) != 1 or revisions[0] not in known()[0]:
        raise BackupError(
            f"PostgreSQL is at revision {', '.join(revisions) or 'none'}, which this version of the program doesn't "
            "know: save it with the version that serves"
        )
    return PostgresPart(
        server=server.server,
        version=server.version,
        revision=revisions[0],
        at=server.at.astimezone(UTC),
        schemas=tuple(row.nspname for row in await _rows(connection, _SCHEMAS)),
        extensions={row.extname: row.nspname for row in await _rows(connection, _EXTENSIONS, list(EXTENSIONS))},
        private_functions=tuple(row[0] for row in await _rows(connection, _PRIVATE_FUNCTIONS)),
        tables={},
    )


async def _rows(connection: AsyncConnection, query: Any, ours: list[str] | None = None) -> Sequence[Any]:
    parameters = {"ours": ours or _OURS["ours"]} if ":ours" in query.text else {}
    return (await connection.execute(query, parameters)).all()


async def _dump(
    pg_dump: Path,
    part: PostgresPart,
    snapshot: str,
    path: Path,
    to: Sequence[Recipient],
    variables: Mapping[str, str],
    progress: Callable[[int], None],
) -> StoredFile:
    arguments = [
        *("--format=custom", f"--snapshot={snapshot}", f"--lock-wait-timeout={LOCK_WAIT}", "--no-password"),
        # the roles may be others where it is restored
        *("--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions", "--verbose"),
        *(f"--schema={schema}" for schema in part.schemas),
        *(f"--exclude-table-data={table}" for table in NOT_KEPT),
    ]
    with writing(path, to) as sink:
        process = await asyncio.create_subprocess_exec(
            pg_dump, *arguments, stdout=sink.stream, stderr=asyncio.subprocess.PIPE, env=variables
        )
        sink.stream.close()
        assert process.stderr is not None
        done, said = 0, list[str]()
        try:
            async for line in process.stderr:
                told = line.decode(errors="replace").strip()
                if _DUMPING.search(told):
                    progress(done)
                    done += 1
                elif "error" in told:
                    said.append(told)
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if code:
            raise BackupError(f"pg_dump failed with code {code}: {' '.join(said[:3])}")
    assert sink.stored is not None
    return sink.stored


def now() -> datetime:
    return datetime.now(UTC)
