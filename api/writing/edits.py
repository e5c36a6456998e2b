"""Edits of single rows: conditions on what may be edited, and the reason where nothing was."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, literal, true, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import KeyedColumnElement

from api.error_codes import MutationErrorCode
from api.fields.context import Context
from api.lists.conditions import And, to_sql
from api.stores.views import View
from api.writing.refusals import ConflictError, Refusal, not_editable
from api.writing.validation import Embedded
from models import Base, PostgresRepository

_MILLISECOND: Final = timedelta(milliseconds=1)

M = TypeVar("M", bound=Base)


def editable(context: Context, model: type[Base], *, deleted: bool = False) -> ColumnElement[bool]:
    """The live rows that the viewer may find and edit, or the deleted ones.

    Raises Unauthenticated or Forbidden where the viewer may not find deleted ones.
    """
    policy = context.policy(model.__name__)
    condition = And((policy.scope(context.viewer, deleted=deleted), policy.editable(context.viewer)))
    return to_sql(condition, dict(model.__table__.c))


def unchanged(model: type[Base], expected: datetime | None) -> ColumnElement[bool]:
    """The rows with the `updated_at` that the client knows, in full or cut to the milliseconds that JavaScript
    keeps."""
    if expected is None:
        return true()
    updated_at = model.__table__.c.updated_at
    known = literal(expected, updated_at.type)
    if expected.microsecond % _MILLISECOND.microseconds:
        return updated_at == known
    # plain comparisons: where the table is distributed, a condition may not cut a column
    return (updated_at >= known) & (updated_at - known < _MILLISECOND)


def merging(
    values: Mapping[str, Any], column: KeyedColumnElement[Any], kind: type[Embedded], given: Embedded | None
) -> dict[str, Any]:
    """The values by column, where the given fields of a JSON object are merged into the stored object.

    Fields that are not given stay, and so do fields that other programs have stored. Null removes a field; in place of
    the whole object, it removes all fields that this application stores.
    """
    name = column.key
    if name not in values:
        return {**values}
    names = kind.stored_names() if given is None else given.given_names()
    if not names:
        return {key: value for key, value in values.items() if key != name}
    rest = column.op("-", return_type=JSONB())(literal(names, ARRAY(Text)))
    new = {} if given is None else given.model_dump()
    return {**values, name: rest.op("||", return_type=JSONB())(literal(new, JSONB))}


async def restore(transaction: AsyncSession, model: type[M], where: ColumnElement[bool], **values: Any) -> M | None:
    """Restore the deleted row that meets this condition, with these values; None where there is none."""
    statement = update(model).where(where).values(deleted_at=None, **values).returning(model)
    restored: M | None = await transaction.scalar(statement, execution_options={"synchronize_session": False})
    return restored


async def why_not(context: Context, rows: PostgresRepository[M], view: type[View], key: UUID, what: str) -> Refusal:
    """The reason why the live row with this key was not edited: the viewer may not edit it, or it has changed.

    If it has changed, the payload shows its current state in the field that is named after `what` it is.
    """
    # by whose it is, too: where the table is distributed, that leads to one shard
    current = await rows.find_one((rows.model.__table__.c.id == key) & editable(context, rows.model))
    if current is None:
        return not_editable(what)
    message = f"The {what} has changed since it was read."
    stale = ConflictError(code=MutationErrorCode.STALE, message=message, path=["expectedUpdatedAt"])
    return Refusal(stale, **{what.replace(" ", "_"): view.of(current)})
