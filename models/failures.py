"""What errors of PostgreSQL mean: which ones are nobody's fault, so that a request may be repeated, and which end a
connection.

All other errors are bugs of this program, or constraints that the writing code has to handle.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

Meaning = Literal["unavailable", "conflict", "late"]
"""`unavailable`: it may work later. `conflict`: another transaction was faster, nothing was done, and it may work at
once. `late`: the server has ended the statement, since it took too long."""

READ_ONLY: Final = "25006"
"""The code of a read-only server: a demoted primary, or one with a full disk."""

# https://www.postgresql.org/docs/current/errcodes-appendix.html; two characters stand for a whole class
_MEANINGS: Final[dict[str, Meaning | None]] = {
    "08": "unavailable",  # the connection
    READ_ONLY: "unavailable",
    "25P03": "unavailable",  # the server's or the role's limits of a transaction's time
    "25P04": "unavailable",
    "28": "unavailable",  # the password, pg_hba.conf: an operator's
    "3D": "unavailable",  # no such database
    "40": "conflict",  # serialization, deadlock
    "40002": None,  # a constraint
    "40003": "unavailable",  # nobody knows whether it was done
    "53": "unavailable",  # memory, disk, connections
    "55P03": "unavailable",  # a lock, within lock_timeout
    "57": "unavailable",  # shutting down, starting up
    "57014": "late",  # statement_timeout, or an administrator
    "58": "unavailable",  # files, as the system sees them
    "72000": "unavailable",  # an old snapshot
}
_ENDS: Final = frozenset({"08", "57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04"})
"""Codes after which the server closes the connection, even if that isn't visible yet."""
_OF_OTHERS: Final = frozenset({"08", "57P01", "57P02"})
"""Those that an error also has where the server has lost its own connection to another one, which ends nothing here: a
cluster's coordinator goes on without a worker."""
_INTERNAL: Final = "XX000"
_LOST_WORKERS: Final = (
    "server closed the connection unexpectedly",
    "could not receive data from server",
    "could not send data to server",
    "no connection to the server",
    "failure on connection marked as essential",
)
"""What libpq says of a lost connection, which has no code. A coordinator passes it on with that of a bug, where the
worker is lost in the middle of a transaction. It is in English, unless the server's `lc_messages` says otherwise. The
last one is Citus' own."""
_LOST_POSTMASTER: Final = "postmaster was shut down, exiting"
"""A coordinator's last words, likewise."""


def meaning(error: BaseException) -> Meaning | None:
    """What an error of the driver, of SQLAlchemy or of the socket means. Its causes aren't looked at."""
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return "conflict"  # a migration has changed a column's type meanwhile; it is noticed once
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if state == _INTERNAL and str(error).startswith((*_LOST_WORKERS, _LOST_POSTMASTER)):
            return "unavailable"
        return _MEANINGS[state] if state in _MEANINGS else _MEANINGS.get(state[:2])
    if isinstance(error, PoolTimeout | OSError | asyncpg.InternalClientError):
        # the last one is what the driver makes of a server's farewell on an idle connection, and of a primary that
        # target_session_attrs asks for and that isn't there
        return "unavailable"
    return "unavailable" if isinstance(error, DBAPIError) and error.connection_invalidated else None


def ends_connection(error: BaseException) -> bool:
    """Whether the connection is lost after this error, by the error itself or one of its causes."""
    for link in _chain(error):
        if isinstance(link, asyncpg.InternalClientError):
            return True
        if isinstance(link, asyncpg.PostgresError):
            state = link.sqlstate or ""
            if getattr(link, "severity_en", None) == "ERROR" and (state in _OF_OTHERS or state[:2] in _OF_OTHERS):
                return False
            if state == _INTERNAL:
                return str(link).startswith(_LOST_POSTMASTER)
            return state in _ENDS or state[:2] in _ENDS
    return False


def is_read_only(error: BaseException) -> bool:
    """Whether the error is a write to a read-only server."""
    return any(isinstance(link, asyncpg.ReadOnlySQLTransactionError) for link in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
