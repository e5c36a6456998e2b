"""The connection that migrations run on: alone on its database, patient with statements, impatient with locks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.config import ConfigurationError, Settings
from api.stores import postgres_engine
from migrations.errors import LOCK_NOT_AVAILABLE, MigrationRunning

LOCK_KEY: Final = 7_239_117_446_018_534
"""Advisory lock of the migrations; advisory locks belong to one database, so any fixed number does."""
LOCK_WAIT: Final = 60.0
"""Seconds to wait for another migration to finish."""
LOCK_TIMEOUT: Final = 10.0
"""Seconds that DDL may wait for a table; whoever queues behind it waits as long."""
STATEMENT_TIMEOUT: Final = 86_400.0
"""Seconds a statement may run: building an index takes as long as it takes."""


@contextlib.asynccontextmanager
async def migration_engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """An engine without the statement timeout of requests.

    Raises ConfigurationError where no server is configured or its URL can't be read.
    """
    try:
        engine = postgres_engine(settings.model_copy(update={"statement_timeout": STATEMENT_TIMEOUT}))
    except (ArgumentError, ValueError):  # their text may quote the URL
        raise ConfigurationError("DATABASE_URL is not a valid PostgreSQL URL") from None
    try:
        yield engine
    finally:
        await engine.dispose()


@contextlib.asynccontextmanager
async def exclusive_connection(
    settings: Settings, *, wait: float = LOCK_WAIT, lock_timeout: float = LOCK_TIMEOUT
) -> AsyncIterator[AsyncConnection]:
    """A connection, while another one holds the advisory lock.

    The lock has its own connection, so that neither a rollback nor a commit of the migration can release it.
    Raises MigrationRunning when another process still holds it after `wait` seconds.
    """
    async with migration_engine(settings) as engine, engine.connect() as guard:
        await guard.execution_options(isolation_level="AUTOCOMMIT")
        await _set_lock_timeout(guard, wait)
        try:
            await guard.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE:
                raise MigrationRunning(
                    f"another migration of this database is running (waited {wait:g} s for it)"
                ) from None
            raise
        async with engine.connect() as connection:
            await _set_lock_timeout(connection, lock_timeout)
            await connection.commit()
            yield connection


async def _set_lock_timeout(connection: AsyncConnection, seconds: float) -> None:
    await connection.execute(
        text("SELECT set_config('lock_timeout', :milliseconds, false)"),
        {"milliseconds": f"{max(1, int(seconds * 1000))}ms"},  # 0 would wait for ever
    )
