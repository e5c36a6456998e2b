"""Deleting and restoring designs together with their owner, for `api.users.deletion.operations`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.orm import aliased

from api.designs import revision_store
from api.fields.context import Context
from api.stores.stores import Stores
from documents import Design, MongoRepository, truncate, utc_now
from models import Operation, User


async def newest_deletion(context: Context, user_id: UUID) -> datetime | None:
    """The latest time from now on at which a design of the user was deleted: clocks differ."""
    later = {"userId": str(user_id), "deletedAt": {"$gte": utc_now()}}
    found = await MongoRepository(Design, context.stores.database).collection.find_one(
        later, {"deletedAt": True}, sort=[("deletedAt", -1)]
    )
    moment: datetime | None = None if found is None else found["deletedAt"]
    return moment


async def take(context: Context, user_id: UUID, moment: datetime, actor: UUID | None = None) -> int:
    """Delete the user's live designs as of this moment. Returns how many there were.

    It is done in the name of the `actor`, else of the viewer. `updatedAt` stays, since nobody has edited them.
    """
    live = {"userId": str(user_id), "deletedAt": None}
    return await revision_store.mark_all(context.stores, live, _author(context, actor), truncate(moment))


async def give_back(context: Context, user_id: UUID, moment: datetime) -> int:
    """Restore the designs that were deleted at this moment. Returns how many there were."""
    taken = {"userId": str(user_id), "deletedAt": truncate(moment)}
    return await revision_store.mark_all(context.stores, taken, _author(context), None)


def _author(context: Context, actor: UUID | None = None) -> dict[str, str]:
    id = actor or context.viewer.id
    return {"requestId": context.request_id} | ({} if id is None else {"updatedBy": str(id)})


async def take_late(context: Context, user_id: UUID) -> bool:
    """If the user is deleted, delete the designs, too, that came to life since. Returns whether the user is deleted.

    Creating or restoring a design calls this afterwards, since a deletion at the same time may have missed the design.
    """
    deletion = await _lasting_deletion(context.stores, user_id)
    if deletion is None:
        return False
    moment, actor = deletion
    await take(context, user_id, moment, actor)
    if await _lasting_deletion(context.stores, user_id) != deletion:
        await give_back(context, user_id, moment)
        return False
    return True


async def _lasting_deletion(stores: Stores, user_id: UUID) -> tuple[datetime, UUID | None] | None:
    """When the user was deleted, and by whom; None where they aren't deleted, or are being restored."""
    deletion = aliased(Operation)
    of_it = (deletion.kind == "delete_user", deletion.subject_id == User.id, deletion.moment == User.deleted_at)
    undone = select(Operation.id).where(
        Operation.kind == "restore_user", Operation.subject_id == User.id, Operation.moment == User.deleted_at
    )
    lasting = (
        select(User.deleted_at, deletion.actor_id)
        .outerjoin(deletion, and_(*of_it))
        .where(User.id == user_id, User.deleted_at.is_not(None), ~undone.exists())
    )
    async with stores.sessions.begin() as transaction:
        row = (await transaction.execute(lasting.limit(1))).one_or_none()
        return None if row is None or row.deleted_at is None else (row.deleted_at, row.actor_id)
