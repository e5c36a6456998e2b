"""The connection that migrations run on: alone on its database, patient with statements, impatient with locks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.config.settings import Settings
from api.stores.postgres.connector import Connector
from api.stores.postgres.engine import postgres_engine
from migrations.errors import LOCK_NOT_AVAILABLE, MigrationRunning
from models.external_pooler import PooledConnection, ask

LOCK_KEY: Final = 7_239_117_446_018_534
"""Advisory lock of the migrations; advisory locks belong to one database, so any fixed number does."""
LOCK_WAIT: Final = 60.0
"""Seconds to wait for another migration to finish."""
LOCK_TIMEOUT: Final = 10.0
"""Seconds that DDL may wait for a table; everybody who queues behind it waits as long."""
STATEMENT_TIMEOUT: Final = 86_400.0
"""Seconds a statement may run: building an index takes as long as it takes."""


@contextlib.asynccontextmanager
async def migration_engine(settings: Settings, lock_timeout: float = LOCK_TIMEOUT) -> AsyncIterator[AsyncEngine]:
    """An engine on the server of migrations, without the statement timeout of requests.

    Its settings are made in each transaction, since behind a pooler the session then goes to somebody else.
    Raises ConfigurationError where no server is configured.
    """
    engine = postgres_engine(settings.for_migrations.model_copy(update={"statement_timeout": STATEMENT_TIMEOUT}))

    @event.listens_for(engine.sync_engine, "begin")
    def set_up(connection: Connection) -> None:
        # for the transaction; names aren't quoted, as what the server tells of types and rules is compared
        connection.exec_driver_sql(
            f"SELECT set_config('lock_timeout', '{_patience(lock_timeout)}', true), "
            "set_config('quote_all_identifiers', 'off', true)"
        )

    try:
        yield engine
    finally:
        await engine.dispose()


async def time_zone(settings: Settings) -> str:
    """The time zone that this database gives whoever connects without asking for one, as the original service does."""
    connector = Connector(settings.for_migrations)
    unasked: dict[str, Any] = {"connection_class": PooledConnection} if connector.is_pooled else {"server_settings": {}}
    connection = await connector(**unasked)
    try:
        return str((await ask(connection, "SELECT current_setting('timezone')"))[0])
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def exclusive_connection(
    settings: Settings, *, wait: float = LOCK_WAIT, lock_timeout: float = LOCK_TIMEOUT
) -> AsyncIterator[AsyncConnection]:
    """A connection, while another one holds the advisory lock.

    The lock is held by a transaction of its own. Neither a rollback nor a commit of the migration releases it, and the
    end of that transaction does, also behind a pooler.
    Raises MigrationRunning when another process still holds it after `wait` seconds.
    """
    async with migration_engine(settings, lock_timeout) as engine, engine.connect() as guard:
        await guard.run_sync(_set, "lock_timeout", _patience(wait))
        await guard.run_sync(_set, "idle_in_transaction_session_timeout", 0)
        try:
            await guard.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE:
                raise MigrationRunning(
                    f"another migration of this database is running (waited {wait:g} s for it)"
                ) from None
            raise
        async with engine.connect() as connection:
            yield connection


def _set(connection: Connection, name: str, value: int | str) -> None:
    """Set a time in milliseconds (0 is for ever) or a switch, for the rest of the transaction."""
    connection.exec_driver_sql(f"SET LOCAL {name} = {value}")


def _patience(seconds: float) -> int:
    return max(1, int(seconds * 1000))
