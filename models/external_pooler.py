"""Poolers such as PgBouncer between this program and PostgreSQL, which lend connections by the transaction.

After a transaction, a session has no connection to the server, or another one: statements that it prepared and
parameters that it set are gone, and others' are there. The driver sends a statement in two steps. Outside of a
transaction, the second step may reach another connection, on which somebody else's statement has replaced it: that
gives wrong rows.
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
    """A connection that does everything within transactions, each of which begins with the settings.

    Preparing a statement outside of one is an error, instead of giving wrong rows.
    """

    __slots__ = ()

    beginning: ClassVar[str] = ""
    """The SQL that is sent together with BEGIN."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # asyncpg would change it for the session, which others get next
        self._server_caps: Any = self._server_caps._replace(jit=False)

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109  as asyncpg
        """As in the driver, but a statement that begins a transaction also sets its parameters."""
        if not args and query.startswith("BEGIN"):
            query = f"{query.rstrip(';')}{self.beginning}"
        return await super().execute(query, *args, timeout=timeout)

    async def set_type_codec(self, *args: Any, **kwargs: Any) -> None:
        """As in the driver, but within a transaction, since it asks the server for the type."""
        async with self.transaction():
            await super().set_type_codec(*args, **kwargs)

    async def _get_statement(self, *args: Any, **kwargs: Any) -> Any:
        # all prepared statements go through this private method, and there is no public one
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
"""Arguments of SQLAlchemy's dialect for unnamed statements: names could clash with others' on the same connection."""

POOLED_OPTIONS: Final[Mapping[str, Any]] = {_POOLED: True}
"""Execution options of an engine whose connections are `pooled`."""


def autocommit(engine: AsyncEngine) -> AsyncEngine:
    """A view of the engine for single statements: each is committed by itself, in a transaction where it must be."""
    if is_pooled(engine):
        return engine
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def is_pooled(engine: AsyncEngine) -> bool:
    """Whether the engine's connections come from a pooler in transaction mode, by the settings."""
    return _POOLED in engine.sync_engine.get_execution_options()


async def ask(connection: Connection, query: str) -> asyncpg.Record:
    """The only row of a query, read in a way that works with every pooler."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        row = await (await connection.prepare(query, name="")).fetchrow()
    except BaseException:
        if not connection.is_closed():  # else the driver would raise that it can't roll back, which says nothing
            await transaction.rollback()
        raise
    await transaction.commit()
    assert row is not None
    return row


async def is_shared(one: Connection, another: Connection) -> bool:
    """Whether a pooler lends the server's connections by the transaction, tested with two of its connections.

    If it lends them by the session, each of the two keeps its own. If by the transaction, consecutive queries on one or
    both of them reach the same server connection, or change between several.
    """
    asked = (one, another, another, one, one, another)
    processes = [(await ask(connection, PROCESS))[0] for connection in asked]
    of_one, of_another = (
        {process for connection, process in zip(asked, processes, strict=True) if connection is each}
        for each in (one, another)
    )
    return len(of_one) > 1 or len(of_another) > 1 or of_one == of_another
