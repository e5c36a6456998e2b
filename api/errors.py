"""Errors that clients may see. Everything else is a bug: masked, logged, and answered with its request id."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

import documents.failures
import models.failures
from api.error_codes import ErrorCode
from api.log import logger

_MEANINGS: Final = (("PostgreSQL", models.failures.meaning), ("MongoDB", documents.failures.meaning))
"""For each store, what tells the meaning of its driver's errors."""


class AppError(Exception):
    """An error with a code and a message for the client. Subclasses say which code.

    `status` and `headers` are those of an HTTP response that has nothing but this error; None: as for any bad request.
    """

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL
    status: int | None = None
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, message: str, **extensions: Any) -> None:
        super().__init__(message)
        self.message = message
        self.extensions: Mapping[str, Any] = {"code": self.code.name, **extensions}


class BadUserInput(AppError):
    """What the client sent can't be answered. For anything but an argument there is a subclass."""

    code = ErrorCode.BAD_USER_INPUT


class BadRequest(BadUserInput):
    """A request that is no GraphQL request; `status` and `headers` are HTTP's words for it."""

    code = ErrorCode.BAD_REQUEST

    def __init__(self, message: str, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


class BadOperation(BadUserInput):
    """It can't be told which operation of the document should run."""

    code = ErrorCode.OPERATION_RESOLUTION_FAILURE


class BadId(BadUserInput):
    """Not a global id, or one of another type."""

    code = ErrorCode.BAD_ID


class BadCursor(BadUserInput):
    """Not a cursor of this list."""

    code = ErrorCode.BAD_CURSOR


class ClientLeft(BadRequest):
    """Whoever has asked doesn't wait for the answer; the status is the one that proxies log for it."""

    def __init__(self) -> None:
        super().__init__("The client left.", 499)


class Unauthenticated(AppError):
    """Nobody is signed in."""

    code = ErrorCode.UNAUTHENTICATED
    status = 401
    headers = MappingProxyType({"www-authenticate": "Bearer"})

    def __init__(self, message: str = "Sign in first.") -> None:
        super().__init__(message)


class InvalidAccessToken(Unauthenticated):
    """The access token isn't ours, or the session behind it has ended."""

    code = ErrorCode.INVALID_ACCESS_TOKEN
    headers = MappingProxyType({"www-authenticate": 'Bearer error="invalid_token"'})

    def __init__(self) -> None:
        super().__init__("The access token is not valid, or no longer: refresh the session, or sign in.")


class AccessTokenExpired(Unauthenticated):
    """The access token was ours; its time has run out."""

    code = ErrorCode.ACCESS_TOKEN_EXPIRED
    headers = InvalidAccessToken.headers

    def __init__(self) -> None:
        super().__init__("The access token has expired: refresh the session.")


class Forbidden(AppError):
    """The account may not do this."""

    code = ErrorCode.FORBIDDEN

    def __init__(self, message: str = "Your account may not do this.") -> None:
        super().__init__(message)


class RateLimited(AppError):
    """Too much at once, or again and again. `retryAfter` is in whole seconds, at least one."""

    code = ErrorCode.RATE_LIMITED
    status = 429

    def __init__(self, seconds: float) -> None:
        retry_after = max(1, math.ceil(seconds))
        self.headers = {"retry-after": str(retry_after)}
        super().__init__(f"Too many attempts; try again in {retry_after} s.", retryAfter=retry_after)


class Overloaded(AppError):
    """The process has more to do than it can do in time. Nothing of the request was done."""

    code = ErrorCode.OVERLOADED
    status = 503

    def __init__(self) -> None:
        self.headers = {"retry-after": "1"}
        super().__init__("The server has more to do than it can do in time; try again in 1 s.", retryAfter=1)


class Conflict(AppError):
    """Another change at the same moment came in the way (a deadlock). Nothing was done, so it can be sent again."""

    code = ErrorCode.CONFLICT

    def __init__(self) -> None:
        super().__init__("Another change at the same moment came in the way, and nothing was done: send it again.")


class StoreUnavailable(AppError):
    """PostgreSQL or MongoDB does not answer; trying later may help. `store` names which."""

    code = ErrorCode.STORE_UNAVAILABLE
    status = 503

    def __init__(self, store: str) -> None:
        super().__init__(f"{store} is not available; try again later.", store=store)


class StatementTimedOut(StoreUnavailable):
    """A store has ended a statement or command that took longer than `statement_timeout`, and did nothing of it."""

    code = ErrorCode.TIMEOUT
    status = 504

    def __init__(self, store: str) -> None:
        message = f"{store} took longer than STATEMENT_TIMEOUT over a part of it, and was stopped: ask for less."
        AppError.__init__(self, message, limit="STATEMENT_TIMEOUT", store=store)


class StoreUnfit(StoreUnavailable):
    """A store answers, but is not one that this program can work on; `reason` says why, to whoever runs it.

    `lasts` tells whether somebody has to change a setting or the server; else it may mend itself, by a migration.
    """

    def __init__(self, store: str, reason: str, *, lasts: bool) -> None:
        super().__init__(store)
        self.reason = reason
        self.lasts = lasts


_TOLD: Final[Mapping[str, Callable[[str], AppError]]] = {
    "unavailable": StoreUnavailable,
    "late": StatementTimedOut,
    "conflict": lambda _: Conflict(),
}


def as_app_error(error: BaseException | None) -> AppError | None:
    """What a client may be told of an error; None where that is nothing, since it is a bug.

    What the drivers raise becomes StoreUnavailable, StatementTimedOut or Conflict by what it means:
    `models/failures.py` and `documents/failures.py`.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, AppError):
            return error
        for store, meaning_of in _MEANINGS:
            if (meaning := meaning_of(error)) is not None:
                return _TOLD[meaning](store)
        error = getattr(error, "original_error", None) or error.__cause__
    return None


def reported(error: Exception, **said: Any) -> AppError | None:
    """As `as_app_error`. Where a store is unavailable, the reason is logged, together with what is `said`."""
    known = as_app_error(error)
    if isinstance(known, StoreUnavailable):
        cause = getattr(error, "original_error", None) or error
        logger.warning("failure", code=known.code.name, error=repr(cause), **said)
    return known
