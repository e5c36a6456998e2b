"""What every mutation shares: typed errors in its payload, one validation per input, one write block."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import strawberry
from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.types.base import StrawberryMaybe
from strawberry.types.maybe import Some

from api.error_codes import MutationErrorCode
from api.rights.identity import identity_of
from api.writing.problems import words_of

if TYPE_CHECKING:
    from api.fields.context import Context


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
    """What the client asked for can't be done; nothing has changed. Its errors go into the payload.

    `shown` are other fields of the payload, such as the object as it is now.
    """

    def __init__(self, *errors: MutationError, **shown: Any) -> None:
        super().__init__(*(error.message for error in errors))
        self.errors = list(errors)
        self.shown = shown


def invalid(message: str, *path: str) -> Refusal:
    """One part of the input is wrong."""
    return Refusal(InvalidInput(code=MutationErrorCode.INVALID, message=message, path=list(path) or None))


def not_found(what: str, *path: str) -> Refusal:
    """Something that the input refers to isn't there."""
    return Refusal(
        NotFoundError(code=MutationErrorCode.NOT_FOUND, message=f"There is no such {what}.", path=list(path) or None)
    )


def not_editable(what: str) -> Refusal:
    """The object of an input isn't there, or not the viewer's to change: which of the two, nobody is told."""
    message = f"There is no such {what}, or it isn't yours to change."
    return Refusal(NotFoundError(code=MutationErrorCode.NOT_FOUND, message=message, path=["id"]))


def conflict(code: MutationErrorCode, message: str, *path: str) -> Refusal:
    """The change and what is stored exclude each other."""
    return Refusal(ConflictError(code=code, message=message, path=list(path) or None))


P = ParamSpec("P")
R = TypeVar("R")


def refusable(
    payload: Callable[..., R],
) -> Callable[[Callable[P, Awaitable[R | None]]], Callable[P, Awaitable[R | None]]]:
    """Turn a resolver's Refusal into its payload with errors.

    Resolvers are declared to give null though none returns it: what is refused by an error of its own must not take
    along what others in the same operation have written.
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


def given(mutation_input: Any) -> dict[str, Any]:
    """The values of a Strawberry input by Python name: unset ones left out, `Maybe` unpacked, enums as stored."""
    values: dict[str, Any] = {}
    for field in mutation_input.__strawberry_definition__.fields:
        value = getattr(mutation_input, field.python_name)
        if value is strawberry.UNSET or (value is None and isinstance(field.type, StrawberryMaybe)):
            continue
        values[field.python_name] = _plain(value)
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, Some):
        return _plain(value.value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "__strawberry_definition__"):
        return given(value)
    return value


S = TypeVar("S", bound=BaseModel)


def validated(schema: type[S], values: Mapping[str, Any]) -> S:
    """The values as the schema has them. Raises Refusal with every failure at once, each with its path."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        raise Refusal(
            *(
                InvalidInput(
                    code=MutationErrorCode.INVALID,
                    message=words_of(problem),
                    path=[to_camel(str(part)) for part in problem["loc"]] or None,
                )
                for problem in problems
            )
        ) from None


@contextlib.asynccontextmanager
async def write_block(
    context: Context, *, system: bool = False, resumable: bool = False
) -> AsyncIterator[AsyncSession]:
    """One PostgreSQL transaction that knows who acts: triggers and row-level security read it from its settings.

    `system` is for writes to accounts that aren't the viewer's, such as sign-up: row-level security lets them pass.
    A mutation with an idempotency key has run once it has written, and will not run again; `resumable` is for a step of
    an operation that may. Leaving the block commits; any error, cancellation included, rolls back.
    """
    stores = context.system_stores if system else context.stores
    async with stores.sessions.begin() as session:
        if not stores.row_level_security:  # else every transaction begins with it
            identity = identity_of(context.viewer, context.request_id, system=system)
            await session.execute(IDENTIFY, dataclasses.asdict(identity))
        yield session
        if context.claim is not None and not resumable:
            await context.claim.mark(session)


IDENTIFY = text(
    "SELECT set_config('app.user_id', :user_id, true), set_config('app.role', :role, true),"
    " set_config('app.request_id', :request_id, true)"
)
"""Says who acts until the transaction ends."""


def same_moment(expected: datetime, actual: datetime) -> bool:
    """Whether a client's `expectedUpdatedAt` is the stored one, to the milliseconds that JavaScript keeps."""
    return abs((expected - actual).total_seconds()) < 0.001


__all__: Sequence[str] = (
    "ConflictError",
    "InvalidInput",
    "MutationError",
    "NotFoundError",
    "Refusal",
    "conflict",
    "given",
    "invalid",
    "not_editable",
    "not_found",
    "refusable",
    "same_moment",
    "validated",
    "write_block",
)
