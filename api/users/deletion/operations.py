"""Deleting and restoring a user with what is theirs, in both stores.

One moment, in whole milliseconds, becomes the `deleted_at` of everything that a deletion takes; no other deletion of
the user's things has it. Restoring the user restores what carries it, and so exactly that.

Each operation is begun in one transaction of PostgreSQL and noted in `shared.operations`; what is left to do is
finished by whoever comes: the same mutation again, or `fashion-wallet reconcile --repair`. Every step may be repeated,
by several at once, and none of them holds a transaction of PostgreSQL open while MongoDB works. The account goes first
and comes back last, so that after a crash there may be designs without their owner, which nobody misses, but never an
owner who misses designs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Executable, func, insert, literal, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from api.accounts import sessions
from api.error_codes import MutationErrorCode
from api.fields.context import Context
from api.stores.stores import Stores
from api.users import store
from api.writing.refusals import conflict, not_found
from api.writing.write_block import write_block
from documents import truncate, utc_now
from models import Avatar, Operation, User, new_id

_MILLISECOND: Final = timedelta(milliseconds=1)
_UNFINISHED: Final = {
    "delete_user": "The deletion of this user has not been finished: repeat it first.",
    "restore_user": "The restoration of this user has not been finished: repeat it first.",
}


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An operation that has begun. `moment` is the `deleted_at` of what the deletion took or takes."""

    id: UUID
    kind: str  # delete_user or restore_user
    user_id: UUID
    moment: datetime


async def begin_deletion(context: Context, user_id: UUID) -> Unfinished:
    """Delete the account and its avatars, and end its sessions; its designs are still to follow.

    Where that has been done by a deletion that was interrupted, it is that one. Raises Refusal: NOT_FOUND, LAST_ADMIN,
    and OPERATION_UNFINISHED where the user is being restored.
    """
    found = [await each.newest_deletion(context, user_id) for each in context.domains.belongings]
    after = max((moment for moment in found if moment is not None), default=None)
    async with write_block(context, resumable=True) as transaction:
        await store.keep_an_admin(transaction, without=user_id)
        user = await _hold(transaction, user_id)
        if (begun := await _unfinished(transaction, user_id, "delete_user")) is not None:
            return begun
        if user is None or user.deleted_at is not None:
            raise not_found("user", "id")
        moment = await _new_moment(transaction, user_id, after)
        taken = {"deleted_at": moment, "updated_by": context.viewer.id}
        await _run(transaction, update(User).where(User.id == user_id).values(taken))
        await _run(
            transaction, update(Avatar).where(Avatar.user_id == user_id, Avatar.deleted_at.is_(None)).values(taken)
        )
        await sessions.end(transaction, user_id, "deleted")
        return await _note(transaction, context, "delete_user", user_id, moment)


async def begin_restoration(context: Context, user_id: UUID) -> Unfinished:
    """Note that the account and what its deletion took are to come back; nothing does yet.

    Raises Refusal: NOT_FOUND, NOT_DELETED, and OPERATION_UNFINISHED where the deletion isn't done.
    """
    async with write_block(context, resumable=True) as transaction:
        user = await _hold(transaction, user_id)
        if (begun := await _unfinished(transaction, user_id, "restore_user")) is not None:
            return begun
        if user is None:
            raise not_found("user", "id")
        if user.deleted_at is None:
            raise conflict(MutationErrorCode.NOT_DELETED, "The user is not deleted.", "id")
        return await _note(transaction, context, "restore_user", user_id, user.deleted_at)


async def finish(context: Context, begun: Unfinished) -> None:
    """Do what is left of the operation, unless somebody else has.

    PostgreSQL waits for nobody: no transaction is open while MongoDB works, and any number may be at the same
    operation, as each of its steps may be repeated. Who takes something too late, when the opposite operation has
    begun, gives it back.
    """
    if not await _goes_on(context.stores, begun):
        return
    for each in context.domains.belongings:
        if begun.kind == "delete_user":
            await each.take(context, begun.user_id, begun.moment)
        else:
            await each.give_back(context, begun.user_id, begun.moment)
    async with write_block(context, resumable=True) as transaction:
        held = select(Operation.id).where(Operation.id == begun.id, Operation.finished_at.is_(None)).with_for_update()
        mine = await transaction.scalar(held) is not None
        if mine and begun.kind == "restore_user":
            await _restore_rows(transaction, begun, context.viewer.id)
        if mine:
            done = update(Operation).where(Operation.id == begun.id).values(finished_at=func.clock_timestamp())
            await _run(transaction, done)
        undone = not mine and begun.kind == "delete_user" and await _is_undone(transaction, begun)
    for each in context.domains.belongings:
        if undone:
            await each.give_back(context, begun.user_id, begun.moment)
        elif begun.kind == "delete_user":
            await each.take_late(context, begun.user_id)


async def unfinished(stores: Stores, *, after: UUID | None, limit: int) -> list[Unfinished]:
    """Operations that have begun and not ended, in the order of their ids."""
    statement = (
        select(Operation.id, Operation.kind, Operation.subject_id, Operation.moment)
        .where(Operation.finished_at.is_(None))
        .order_by(Operation.id)
        .limit(limit)
    )
    async with stores.sessions.begin() as transaction:
        rows = await transaction.execute(statement if after is None else statement.where(Operation.id > after))
        return [Unfinished(*row) for row in rows]


async def _goes_on(stores: Stores, begun: Unfinished) -> bool:
    """Whether nobody has finished the operation yet."""
    async with stores.sessions.begin() as transaction:
        going = select(Operation.id).where(Operation.id == begun.id, Operation.finished_at.is_(None))
        return await transaction.scalar(going) is not None


async def _is_undone(transaction: AsyncSession, deletion: Unfinished) -> bool:
    """Whether a restoration of what this deletion took has begun, or is done."""
    restored = select(Operation.id).where(
        Operation.kind == "restore_user",
        Operation.subject_id == deletion.user_id,
        Operation.moment == deletion.moment,
    )
    return await transaction.scalar(restored.limit(1)) is not None


async def _restore_rows(transaction: AsyncSession, begun: Unfinished, actor: UUID | None) -> None:
    author = {} if actor is None else {"updated_by": actor}
    other = aliased(Avatar)
    # one that got in while the owner was deleted may be the default by now; there is room for one
    has_default = select(other.id).where(other.user_id == begun.user_id, other.is_default, other.deleted_at.is_(None))
    avatars = update(Avatar).where(Avatar.user_id == begun.user_id, Avatar.deleted_at == begun.moment)
    await _run(
        transaction,
        avatars.values(deleted_at=None, is_default=Avatar.is_default & ~has_default.exists(), **author),
    )
    user = update(User).where(User.id == begun.user_id, User.deleted_at == begun.moment)
    await _run(transaction, user.values(deleted_at=None, **author))


async def _hold(transaction: AsyncSession, user_id: UUID) -> Any:
    """The account's `deleted_at`, and a lock on it that operations and `reconcile` share: one at a time."""
    return (
        await transaction.execute(select(User.deleted_at).where(User.id == user_id).with_for_update(key_share=True))
    ).one_or_none()


async def _unfinished(transaction: AsyncSession, user_id: UUID, wanted: str) -> Unfinished | None:
    """The unfinished operation of a user. Raises Refusal where it is of the other kind."""
    found = await transaction.execute(
        select(Operation.id, Operation.kind, Operation.subject_id, Operation.moment).where(
            Operation.subject_id == user_id, Operation.finished_at.is_(None)
        )
    )
    begun = next((Unfinished(*row) for row in found), None)
    if begun is not None and begun.kind != wanted:
        raise conflict(MutationErrorCode.OPERATION_UNFINISHED, _UNFINISHED[begun.kind], "id")
    return begun


async def _note(transaction: AsyncSession, context: Context, kind: str, user_id: UUID, moment: datetime) -> Unfinished:
    begun = Unfinished(new_id(), kind, user_id, moment)
    values = {"id": begun.id, "kind": kind, "subject_id": user_id, "moment": moment, "actor_id": context.viewer.id}
    await _run(transaction, insert(Operation).values(values))
    return begun


async def _new_moment(transaction: AsyncSession, user_id: UUID, after: datetime | None) -> datetime:
    """Now, or as much later as it takes to be after everything of the user's that was deleted before."""
    deleted = union_all(
        select(func.max(Avatar.deleted_at).label("at")).where(Avatar.user_id == user_id),
        select(func.max(Operation.moment)).where(Operation.subject_id == user_id),
        select(literal(after, User.deleted_at.type)),
    ).subquery()
    newest: datetime | None = await transaction.scalar(select(func.max(deleted.c.at)))
    now = utc_now()
    return now if newest is None else max(now, truncate(newest) + _MILLISECOND)


async def _run(transaction: AsyncSession, statement: Executable) -> None:
    await transaction.execute(statement, execution_options={"synchronize_session": False})
