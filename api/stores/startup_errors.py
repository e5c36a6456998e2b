"""Errors that the person who starts the program can do something about, in one line each."""

from __future__ import annotations

import re
from collections.abc import Iterator

import asyncpg
from pymongo.errors import PyMongoError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from api.config.settings import ConfigurationError
from api.embedded.daemons import DaemonError
from api.embedded.packages import EmbeddedError
from api.errors import AppError, StoreUnfit


class ServerError(Exception):
    """The server can't start or continue; the message says what to change."""


_OWN = (AppError, ConfigurationError, DaemonError, EmbeddedError, ServerError)
_POSTGRES = (asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError, PoolTimeout, OSError)
_LOGIN = re.compile(r"(?<=://)[^@/\s]+@")
_LONGEST = 300
_HINTS = {"53300": " (lower POSTGRES_POOL_SIZE or WORKERS of those that serve, or raise the limit there)"}
"""Hints, by PostgreSQL's error code."""


def describe(error: BaseException) -> str | None:
    """What went wrong, without passwords; None where it is a bug, whose traceback is needed.

    An OSError counts as PostgreSQL's, since asyncpg passes errors of the socket on, while pymongo wraps them.
    """
    lines = []
    for single in _flat(error):
        if isinstance(single, StoreUnfit):
            lines.append(f"{single.extensions['store']}: {single.reason}")
        elif isinstance(single, _OWN):
            lines.append(str(single))
        elif isinstance(single, PyMongoError):
            lines.append(f"MongoDB: {_short(single)}")
        elif isinstance(single, _POSTGRES):
            cause = single.orig if isinstance(single, DBAPIError) and single.orig else single
            hint = _HINTS.get(getattr(cause, "sqlstate", None) or "", "")
            lines.append(f"PostgreSQL: {_short(cause)}{hint}")
        else:
            return None
    return "\n".join(dict.fromkeys(lines))


def _flat(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _flat(member)
    else:
        yield error


def _short(error: BaseException) -> str:
    """The first line of the message, or the name of the error where it has no message (a timeout)."""
    text = next(iter(str(error).splitlines()), "") or type(error).__name__
    # pymongo appends a long description of the topology
    text = text.split(", Topology Description:")[0].split(" (configured timeouts:")[0]
    return _LOGIN.sub("", text)[:_LONGEST]
