"""Why a store does not answer, in a few words that name no host, port, user or password.

Drivers put the address into their messages, so nothing of a message is ever passed on: kinds of errors are told
apart here, and each has its fixed sentence.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Final

import asyncpg
import sqlalchemy.exc
from pymongo import errors as mongodb

from api.errors import StoreUnfit

UNEXPECTED: Final = "unexpected error"
NO_FREE_CONNECTION: Final = "no free connection in the pool"
NO_PRIMARY: Final = "no primary"

_AUTHENTICATION: Final = "authentication failed"
_LOST: Final = "connection lost"
_NO_HOST: Final = "host name not found"
_NOT_PERMITTED: Final = "not permitted"
_REFUSED: Final = "connection refused"
_TLS: Final = "TLS failed"
_UNREACHABLE: Final = "host unreachable"

_BY_ERRNO: Final = {
    errno.ECONNREFUSED: _REFUSED,
    errno.ECONNRESET: _LOST,
    errno.ECONNABORTED: _LOST,
    errno.EPIPE: _LOST,
    errno.EHOSTUNREACH: _UNREACHABLE,
    errno.ENETUNREACH: _UNREACHABLE,
    errno.EMFILE: "too many open files",
}
_BY_SQLSTATE: Final = {
    # https://www.postgresql.org/docs/current/errcodes-appendix.html; two characters stand for a whole class
    "08": _LOST,
    "28": _AUTHENTICATION,
    "3D": "the database does not exist",
    "42501": _NOT_PERMITTED,
    "53300": "too many connections at the server: lower POSTGRES_POOL_SIZE or WORKERS, or raise the limit there",
    "53": "the server is out of resources",
    "57P01": "the server is shutting down",
    "57P02": "the server is shutting down",
    "57P03": "the server is starting or shutting down",
}
_BY_MONGODB_CODE: Final = {13: _NOT_PERMITTED, 18: _AUTHENTICATION, 11600: "the server is shutting down"}
_BY_MESSAGE: Final = (
    # pymongo (and asyncio, for a name with several addresses) keep only the text of what the system reported
    (re.compile(r"SSL handshake failed|CERTIFICATE_VERIFY_FAILED|rejected SSL upgrade"), _TLS),
    (re.compile(r"Name or service not known|nodename nor servname|Temporary failure in name resolution"), _NO_HOST),
    (re.compile(r"Authentication failed"), _AUTHENTICATION),
    (re.compile(r"No primary|No replica set members match selector"), NO_PRIMARY),
    (re.compile(r"connection closed"), _LOST),
)
_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")


def timed_out(timeout: float) -> str:
    return f"timed out after {timeout:g} s"


def reason(error: BaseException, timeout: float) -> str:
    """The sentence for an error that a check of `timeout` seconds ended with."""
    chain = list(_chain(error))
    for link in chain:
        if (sentence := _known(link)) is not None:
            return sentence
    if any(isinstance(link, TimeoutError) or getattr(link, "timeout", None) is True for link in chain):
        return timed_out(timeout)
    if any(getattr(link, "connection_invalidated", False) or isinstance(link, _DISCONNECTS) for link in chain):
        return _LOST
    return UNEXPECTED


_DISCONNECTS: Final = (ConnectionError, mongodb.ConnectionFailure, asyncpg.InternalClientError)
"""The last is what asyncpg says on a connection that the server has ended while it was idle."""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _known(error: BaseException) -> str | None:
    if isinstance(error, StoreUnfit):
        return error.reason
    if isinstance(error, sqlalchemy.exc.TimeoutError | mongodb.WaitQueueTimeoutError):
        return NO_FREE_CONNECTION
    if isinstance(error, socket.gaierror):
        return _NO_HOST
    if isinstance(error, ssl.SSLError):
        return _TLS
    if isinstance(error, OSError) and error.errno in _BY_ERRNO:
        return _BY_ERRNO[error.errno]
    if isinstance(error, mongodb.OperationFailure):
        return _BY_MONGODB_CODE.get(error.code or 0)
    if isinstance(state := getattr(error, "sqlstate", None), str):
        return _BY_SQLSTATE.get(state) or _BY_SQLSTATE.get(state[:2])
    if isinstance(error, OSError | mongodb.ConnectionFailure):
        message = str(error)
        for number in _ERRNO.findall(message):
            if int(number) in _BY_ERRNO:
                return _BY_ERRNO[int(number)]
        return next((sentence for pattern, sentence in _BY_MESSAGE if pattern.search(message)), None)
    return None
