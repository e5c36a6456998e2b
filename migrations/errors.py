"""What goes wrong while migrating, in one line each, without passwords."""

from __future__ import annotations

from collections.abc import Iterator

from alembic.util import CommandError

from api.failures import ServerError, describe

LOCK_NOT_AVAILABLE = "55P03"


class MigrationError(ServerError):
    """A migration can't be done; the message is one line for whoever runs it."""


class MigrationRunning(MigrationError):
    """Another process is migrating the same database."""


class AdoptionError(MigrationError):
    """What an existing database holds contradicts a rule of this one; the message lists a few of the rows."""


def explain(error: Exception) -> str | None:
    """One line for an error of a server or of Alembic; None for what is a bug."""
    if isinstance(error, CommandError):
        return str(error).partition("\n")[0]
    if any(getattr(cause, "sqlstate", None) == LOCK_NOT_AVAILABLE for cause in _causes(error)):
        return (
            "PostgreSQL: a table is in use and was not released in time; nothing was changed. "
            "Try again, or wait longer with --lock-timeout"
        )
    text = describe(error)
    return None if text is None else text.partition("\n")[0]


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__
