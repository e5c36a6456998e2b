"""Row-level security, the second line of defence: transactions take on a role that PostgreSQL itself restricts.

Where the setting ROW_LEVEL_SECURITY is on, every transaction of a request begins with one statement that gives up the
connected user's rights for those of `fashion_wallet_app` and says who acts, which the policies of the migrations read.
All of this ends with the transaction, so a pooled connection carries nothing over to the next request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from api.config.settings import ConfigurationError
from api.stores.postgres.distribution import Distribution
from models.statements import First

ROLE: Final = "fashion_wallet_app"

_REFUSALS: Final = frozenset({"42501", "22023"})
"""PostgreSQL's codes for: not a member of the role, and no such role."""
_IDENTITY: Final = "identity"
_REFERENCES: Final = "references"

_ASSUME: Final = (
    "SELECT set_config('role', $1, true), set_config('app.user_id', $2, true), set_config('app.role', $3, true), "
    "set_config('app.request_id', $4, true), set_config('app.reference', $5, true)"
)

_ASSUME_ON_WORKERS: Final = "SELECT shared.act_as($1, $2, $3, $4, $5)"
"""The same where tables are distributed: workers aren't told of set_config()."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who acts, as PostgreSQL is told: empty texts for nobody. The role `system` is for sign-in, sign-up and the like,
    which read and write accounts for somebody who isn't signed in."""

    user_id: str
    role: str
    request_id: str


def enforce(engine: AsyncEngine, distribution: Distribution) -> None:
    """Make transactions of engines made by `bound` take on the role. Others keep the connected user's rights."""

    @event.listens_for(engine.sync_engine, "begin")
    def assume(connection: Connection) -> None:
        if (first := _first_statement(connection.get_execution_options(), distribution)) is not None:
            connection.exec_driver_sql(*first())


def first_statement(engine: AsyncEngine, distribution: Distribution) -> First | None:
    """The statement by which a transaction of this engine takes on the role; None where it doesn't."""
    return _first_statement(engine.sync_engine.get_execution_options(), distribution)


def _first_statement(options: Mapping[str, Any], distribution: Distribution) -> First | None:
    identity: Identity | None = options.get(_IDENTITY)
    if identity is None:
        return None
    arguments = (ROLE, identity.user_id, identity.role, identity.request_id, options.get(_REFERENCES, ""))
    return lambda: (_ASSUME_ON_WORKERS if distribution.is_distributed else _ASSUME, arguments)


def bound(engine: AsyncEngine, identity: Identity) -> AsyncEngine:
    """A view of the engine whose transactions act as this identity."""
    return engine.execution_options(**{_IDENTITY: identity})


def referring(engine: AsyncEngine, ids: str) -> AsyncEngine:
    """A view of a bound engine whose transactions may also see the rows with these ids, separated by commas.

    Something that is visible refers to these rows.
    """
    return engine.execution_options(**{_REFERENCES: ids})


async def verify(engine: AsyncEngine) -> None:
    """Raise ConfigurationError where the connected user can't take on the role."""
    async with engine.connect() as connection:
        try:
            await connection.exec_driver_sql(f"SET LOCAL ROLE {ROLE}")
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _REFUSALS:
                raise
            raise ConfigurationError(
                f"ROW_LEVEL_SECURITY: the user of DATABASE_URL can't take on the role {ROLE}; run "
                f"`fashion-wallet migrate run`, or let an administrator run: GRANT {ROLE} TO <that user>"
            ) from None
