"""Finishes interrupted operations on users, and repairs avatars and designs that they missed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from api.designs import owner_deletion
from api.fields.context import Context
from api.reconcile.report import Progress, Report
from api.users.deletion import operations
from api.writing.write_block import write_block
from documents import Design, MongoRepository, truncate
from models import Avatar, Operation, User

_begun = aliased(Operation)
UNDER_WAY = exists().where(_begun.subject_id == User.id, _begun.finished_at.is_(None)).correlate(User)
"""The condition that the user is being deleted or restored."""


@contextlib.asynccontextmanager
async def held(context: Context, users: Iterable[UUID]) -> AsyncIterator[tuple[AsyncSession, Mapping[UUID, datetime]]]:
    """The deleted ones among the users, and since when. Nobody can begin to restore them while the block runs.

    Users who are being deleted or restored are left out.
    """
    async with write_block(context, resumable=True) as transaction:
        chosen = User.id.in_(list(users))
        await transaction.execute(select(User.id).where(chosen).order_by(User.id).with_for_update(read=True))
        # a second statement, since the first one may have waited for an operation that it doesn't see yet
        rows = await transaction.execute(
            select(User.id, User.deleted_at).where(chosen, User.deleted_at.is_not(None), ~UNDER_WAY)
        )
        yield transaction, {id: deleted_at for id, deleted_at in rows if deleted_at is not None}


async def still_deleted(context: Context, users: Iterable[UUID]) -> Mapping[UUID, datetime]:
    """The same without holding them: for what is done in MongoDB, which no transaction waits for. Look again after
    it."""
    async with held(context, users) as (_, deleted):
        return deleted


async def finish_operations(context: Context, report: Report, *, repair: bool, batch: int, progress: Progress) -> None:
    """Finish deletions and restorations that were interrupted or are still running: two may finish the same one."""
    tally, after = report.unfinished_operations, None
    while found := await operations.unfinished(context.stores, after=after, limit=batch):
        after = found[-1].id
        tally.add(begun.user_id for begun in found)
        if not repair:
            tally.remaining += len(found)
            continue
        for begun in found:
            await operations.finish(context, begun)
            tally.repaired += 1
            progress("operations", tally.repaired, None)


async def sweep_avatars(context: Context, report: Report, *, repair: bool, batch: int, progress: Progress) -> None:
    """Delete avatars that were made while their owner was being deleted, as if the deletion had taken them."""
    tally, after = report.orphaned_avatars, None
    while True:
        # no join, which distributed avatars and users, who aren't, can't have
        deleted_users = select(User.id).where(User.deleted_at.is_not(None), ~UNDER_WAY)
        orphans = (
            select(Avatar.id, Avatar.user_id)
            .where(Avatar.deleted_at.is_(None), Avatar.user_id.in_(deleted_users))
            .order_by(Avatar.id)
            .limit(batch)
        )
        async with context.stores.sessions() as session:
            rows = (await session.execute(orphans if after is None else orphans.where(Avatar.id > after))).all()
        if not rows:
            return
        after = rows[-1].id
        number = tally.add(row.id for row in rows)
        progress("avatars", tally.found, None)
        if not repair:
            tally.remaining += number
            continue
        async with held(context, {row.user_id for row in rows}) as (transaction, deleted):
            for user_id, moment in deleted.items():
                mine = [row.id for row in rows if row.user_id == user_id]
                tally.repaired += await _take(transaction, user_id, mine, moment)


async def _take(transaction: AsyncSession, user_id: UUID, ids: list[UUID], moment: datetime) -> int:
    taken = aliased(Avatar)
    # of the avatars that come back together, only one can be the default
    other = exists().where(taken.user_id == user_id, taken.deleted_at == moment, taken.is_default)
    statement = (
        update(Avatar)
        .where(Avatar.user_id == user_id, Avatar.id.in_(ids), Avatar.deleted_at.is_(None))
        .values(deleted_at=moment, is_default=Avatar.is_default & ~other)
        .returning(Avatar.id)
    )
    return len((await transaction.scalars(statement, execution_options={"synchronize_session": False})).all())


async def return_designs(context: Context, report: Report, *, repair: bool, batch: int, progress: Progress) -> None:
    """Restore designs that a deletion took after its user had just been restored.

    That can happen when the server executes a command late, of a process that has died since. Such a design has the
    moment of a deletion that was undone.
    """
    tally, after = report.unrestored_designs, None
    designs = MongoRepository(Design, context.stores.database)
    while True:
        undone = (
            select(Operation.id, Operation.subject_id, Operation.moment)
            .join(User, User.id == Operation.subject_id)
            .where(Operation.kind == "restore_user", Operation.finished_at.is_not(None))
            .where(User.deleted_at.is_(None), ~UNDER_WAY)
            .order_by(Operation.id)
            .limit(batch)
        )
        async with context.stores.sessions() as session:
            rows = (await session.execute(undone if after is None else undone.where(Operation.id > after))).all()
        if not rows:
            return
        after = rows[-1].id
        moments = [{"userId": str(row.subject_id), "deletedAt": truncate(row.moment)} for row in rows]
        found = await designs.read({"userId": True}, where={"$or": moments}, include_deleted=True)
        tally.add(design["_id"] for design in found)
        progress("restorations", tally.found, None)
        if not repair:
            tally.remaining += len(found)
            continue
        owners = {design["userId"] for design in found}
        for row in rows:
            if str(row.subject_id) in owners:
                tally.repaired += await _give_back(context, row.subject_id, row.moment)


async def _give_back(context: Context, user_id: UUID, moment: datetime) -> int:
    async with write_block(context, resumable=True) as transaction:
        await transaction.execute(select(User.id).where(User.id == user_id).with_for_update(read=True))
        restored = select(User.id).where(User.id == user_id, User.deleted_at.is_(None), ~UNDER_WAY)
        if await transaction.scalar(restored) is None:
            return 0
    # if the user is deleted again by now, these are orphans, which a later step finds
    return await owner_deletion.give_back(context, user_id, moment)
