"""What goes wrong while migrating, in one line each, without passwords."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
from alembic.util import CommandError
from pymongo.errors import ConnectionFailure, ExecutionTimeout, OperationFailure, PyMongoError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

LOCK_NOT_AVAILABLE = "55P03"


class MigrationError(Exception):
    """A migration can't be done; the message is one line for whoever runs it. Nothing was changed."""


class MigrationRunning(MigrationError):
    """Another process is migrating the same database."""


class AdoptionError(MigrationError):
    """What an existing database holds contradicts a rule of this one; the message lists a few of the rows."""


def explain(error: Exception) -> str | None:
    """One line for an error of a server or of Alembic; None for what is a bug."""
    if isinstance(error, CommandError):
        return _first_line(error)
    if isinstance(error, PyMongoError):
        return _explain_mongodb(error)
    if any(getattr(cause, "sqlstate", None) == LOCK_NOT_AVAILABLE for cause in _causes(error)):
        return (
            "PostgreSQL: a table is in use and was not released in time; nothing was changed. "
            "Try again, or allow more with --lock-timeout"
        )
    for cause in _causes(error):
        if isinstance(cause, (asyncpg.PostgresError, asyncpg.InterfaceError)):
            return f"PostgreSQL: {_first_line(cause)}"
        if isinstance(cause, OSError):  # refused, unreachable, unknown host, timed out
            return f"PostgreSQL does not answer ({cause.strerror or type(cause).__name__})"
    if isinstance(error, SQLAlchemyError) and not isinstance(error, DBAPIError):
        return None
    return f"PostgreSQL: {_first_line(error)}" if isinstance(error, DBAPIError) else None


def _explain_mongodb(error: PyMongoError) -> str:
    if isinstance(error, (ConnectionFailure, ExecutionTimeout)):
        return "MongoDB does not answer"
    if isinstance(error, OperationFailure):
        return f"MongoDB: {(error.details or {}).get('errmsg', type(error).__name__)}"
    return f"MongoDB: {type(error).__name__}; check MONGODB_URI"  # its text may quote the URI


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
