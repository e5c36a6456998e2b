"""Poolers between us and PostgreSQL, such as PgBouncer, that lend a session's connection for a transaction at a time.

Between two transactions a session of ours is on no connection of the server's, or on another one: what was prepared or
set there is gone, and what others have prepared or set is there. The driver sends a statement in two steps, so outside
of a transaction the second may reach a connection where somebody else's statement has taken its place: wrong rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

PROCESS: Final = "SELECT pg_backend_pid()"
_POOLED: Final = "transaction_pooled"
_NAMES: Final = frozenset({"statement_timeout", "jit", "timezone", "row_security", "lock_timeout"})

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection


class PooledConnection(Connection):
    """A connection that keeps everything within transactions: each begins with the settings, and nothing is prepared
    outside of one, which is an error here instead of wrong rows."""

    __slots__ = ()

    beginning: ClassVar[str] = ""
    """What follows BEGIN, in the same message."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # asyncpg would switch it off and on for the session, which others have next
        self._server_caps: Any = self._server_caps._replace(jit=False)

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109  as asyncpg
        """As the driver's. What begins a transaction sets its settings too."""
        if not args and query.startswith("BEGIN"):
            query = f"{query.rstrip(';')}{self.beginning}"
        return await super().execute(query, *args, timeout=timeout)

    async def set_type_codec(self, *args: Any, **kwargs: Any) -> None:
        """As the driver's, which asks the server for the type."""
        async with self.transaction():
            await super().set_type_codec(*args, **kwargs)

    async def _get_statement(self, *args: Any, **kwargs: Any) -> Any:
        # every statement that is prepared comes through here, and through nothing public
        if not self.is_in_transaction():
            raise asyncpg.InterfaceError("outside of a transaction a pooler may give a statement to another connection")
        return await super()._get_statement(*args, **kwargs)  # type: ignore[misc]  # the stubs leave it out


def pooled(settings: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of the driver for a pooler in transaction mode, where every transaction has these settings."""
    assert settings.keys() <= _NAMES
    beginning = "".join(f"; SET LOCAL {name} = '{value}'" for name, value in settings.items())
    return {
        "connection_class": type("SetUpConnection", (PooledConnection,), {"beginning": beginning, "__slots__": ()}),
        "statement_cache_size": 0,
    }


UNNAMED: Final[Mapping[str, Any]] = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: ""}
"""Arguments of SQLAlchemy's dialect: its statements have no names, which would meet others' on the same connection."""

POOLED_OPTIONS: Final[Mapping[str, Any]] = {_POOLED: True}
"""Execution options of an engine whose connections are `pooled`."""


def autocommit(engine: AsyncEngine) -> AsyncEngine:
    """A view of the engine for single statements: each is committed by itself, in a transaction where it must be."""
    if is_pooled(engine):
        return engine
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def is_pooled(engine: AsyncEngine) -> bool:
    """Whether its connections come from a pooler in transaction mode, as the settings say."""
    return _POOLED in engine.sync_engine.get_execution_options()


async def ask(connection: Connection, query: str) -> asyncpg.Record:
    """The one row of a query, by a way that is right through any pooler."""
    async with connection.transaction():
        row = await (await connection.prepare(query, name="")).fetchrow()
    assert row is not None
    return row


async def is_shared(one: Connection, another: Connection) -> bool:
    """Whether a pooler lends both connections of the server's by the transaction.

    By the session, each has one of its own as long as it lives. By the transaction, whoever asks twice in a row, or
    after another, gets the same one or a new one: whichever it takes first, idle ones are lent in some order.
    """
    asked = (one, another, another, one, one, another)
    processes = [(await ask(connection, PROCESS))[0] for connection in asked]
    of_one, of_another = (
        {process for connection, process in zip(asked, processes, strict=True) if connection is each}
        for each in (one, another)
    )
    return len(of_one) > 1 or len(of_another) > 1 or of_one == of_another
