"""Refusals: the typed errors in the payload of a mutation that did not do what it was asked to."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

import strawberry

from api.error_codes import MutationErrorCode


@strawberry.interface(description="Why a mutation did not do what it was asked to.")
class MutationError:
    code: MutationErrorCode = strawberry.field(description="What went wrong, for programs.")
    message: str = strawberry.field(description="What went wrong, for people.")
    path: list[str] | None = strawberry.field(
        default=None, description="Which part of the input it is about; null where it is about the whole."
    )


@strawberry.type(description="A part of the input is not what it should be.")
class InvalidInput(MutationError):
    pass


@strawberry.type(description="What the input refers to does not exist, or not for this viewer.")
class NotFoundError(MutationError):
    pass


@strawberry.type(description="The change does not go together with what is stored, such as an email that is taken.")
class ConflictError(MutationError):
    pass


class Refusal(Exception):
    """A mutation can't do what the client asked for, and has changed nothing. Its errors go into the payload.

    `shown` are other fields of the payload, such as the current state of the object.
    """

    def __init__(self, *errors: MutationError, **shown: Any) -> None:
        super().__init__(*(error.message for error in errors))
        self.errors = list(errors)
        self.shown = shown


def invalid(message: str, *path: str) -> Refusal:
    """The refusal of a wrong part of the input."""
    return Refusal(InvalidInput(code=MutationErrorCode.INVALID, message=message, path=list(path) or None))


def not_found(what: str, *path: str) -> Refusal:
    """The refusal where something that the input refers to doesn't exist."""
    return Refusal(
        NotFoundError(code=MutationErrorCode.NOT_FOUND, message=f"There is no such {what}.", path=list(path) or None)
    )


def not_editable(what: str) -> Refusal:
    """The refusal where an object doesn't exist, or the viewer may not change it. It doesn't tell which of the two."""
    message = f"There is no such {what}, or it isn't yours to change."
    return Refusal(NotFoundError(code=MutationErrorCode.NOT_FOUND, message=message, path=["id"]))


def conflict(code: MutationErrorCode, message: str, *path: str) -> Refusal:
    """The refusal of a change that conflicts with what is stored."""
    return Refusal(ConflictError(code=code, message=message, path=list(path) or None))


P = ParamSpec("P")
R = TypeVar("R")


def refusable(
    payload: Callable[..., R],
) -> Callable[[Callable[P, Awaitable[R | None]]], Callable[P, Awaitable[R | None]]]:
    """A decorator of resolvers that turns a Refusal into a payload with errors.

    Resolvers are declared nullable although none returns null: a mutation that raises another error must not null the
    results of the other mutations in the operation.
    """

    def decorate(resolver: Callable[P, Awaitable[R | None]]) -> Callable[P, Awaitable[R | None]]:
        @functools.wraps(resolver)
        async def resolve(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return await resolver(*args, **kwargs)
            except Refusal as refusal:
                return payload(errors=refusal.errors, **refusal.shown)

        return resolve

    return decorate
