"""Errors that clients may see. Everything else is a bug: masked, logged, and answered with its request id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class AppError(Exception):
    """An error with a code and a message for the client. Subclasses say which code."""

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, **extensions: Any) -> None:
        super().__init__(message)
        self.message = message
        self.extensions: Mapping[str, Any] = {"code": self.code, **extensions}


class BadUserInput(AppError):
    """What the client sent can't be answered: an argument, a cursor, an id, a document."""

    code = "BAD_USER_INPUT"


class StoreUnavailable(AppError):
    """PostgreSQL or MongoDB does not answer; trying later may help. `store` names which."""

    code = "STORE_UNAVAILABLE"

    def __init__(self, store: str) -> None:
        super().__init__(f"{store} is not available; try again later.", store=store)
