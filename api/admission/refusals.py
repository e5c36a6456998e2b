"""The errors with which requests beyond a limit are refused."""

from __future__ import annotations

from typing import Final

from api.config.settings import Settings
from api.error_codes import ErrorCode
from api.errors import AppError

CAP: Final = 2**31 - 1
"""Counts stop here, so that they fit into GraphQL's Int."""


class TooComplex(AppError):
    """A request asks for more than a limit allows.

    `limit` is the setting, `maximum` its value, and `value` what the request has. Where counting stops early (tokens,
    values), `value` is one above the maximum.
    """

    code = ErrorCode.TOO_COMPLEX

    def __init__(self, what: str, limit: str, maximum: int, value: int) -> None:
        counted = "more than the maximum" if value >= CAP else str(value)
        super().__init__(
            f"{what}: {counted}, at most {maximum}.", limit=limit.upper(), maximum=maximum, value=min(value, CAP)
        )


def answer_too_large(size: int, settings: Settings) -> TooComplex:
    """The error of a response beyond `max_response_size`. `size` is what was counted of it. A mutation has been
    done."""
    return TooComplex("The answer is too large", "max_response_size", settings.max_response_size, size)


class TimedOut(AppError):
    """The operation took longer than `execution_timeout` and was ended. A mutation may have changed something."""

    code = ErrorCode.TIMEOUT
    status = 504

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The operation took longer than {seconds:g} s.", limit="EXECUTION_TIMEOUT", maximum=seconds)


def require(what: str, limit: str, maximum: int, value: int) -> None:
    """Raise TooComplex where the value is above the maximum."""
    if value > maximum:
        raise TooComplex(what, limit, maximum, value)
