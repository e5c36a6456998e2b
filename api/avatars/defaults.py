"""A user's default avatar: at most one of the live avatars, also when several requests change them.

Every change locks the owner's row first, so that changes of one user's default happen one after another.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

import models
from api.stores.stores import Stores
from models import Avatar, PostgresRepository, User


@dataclass(frozen=True, slots=True)
class Owner:
    """A locked owner, whose avatars may be changed until the transaction ends."""

    id: UUID
    is_live: bool

    @property
    def has(self) -> ColumnElement[bool]:
        """The condition that an avatar is theirs. It leads to one shard where avatars are distributed."""
        return Avatar.user_id == self.id


async def hold_owner_of(transaction: AsyncSession, where: ColumnElement[bool]) -> Owner | None:
    """Lock the owner of the avatar that meets this condition; None where there is no such avatar."""
    owner_id = select(Avatar.user_id).where(where).scalar_subquery()
    return await _hold(transaction, User.id == owner_id)


async def hold_owner(transaction: AsyncSession, user_id: UUID) -> Owner | None:
    """Lock the account; None where there is none."""
    return await _hold(transaction, User.id == user_id)


async def _hold(transaction: AsyncSession, where: ColumnElement[bool]) -> Owner | None:
    # key_share, so that new references to the account don't wait for this lock
    statement = select(User.id, User.deleted_at).where(where).with_for_update(key_share=True)
    row = (await transaction.execute(statement)).one_or_none()
    return None if row is None else Owner(row.id, is_live=row.deleted_at is None)


def is_free(user_id: UUID) -> ColumnElement[bool]:
    """Whether the user has no default avatar."""
    other = aliased(Avatar)
    return ~select(other.id).where(other.user_id == user_id, other.is_default, other.deleted_at.is_(None)).exists()


async def first_one(stores: Stores, transaction: AsyncSession, user_id: UUID) -> ColumnElement[bool] | bool:
    """Whether an avatar that is made now becomes the default: an expression, or where avatars are distributed, which
    takes none with a sub-select, its value."""
    if not stores.distribution.is_distributed:
        return is_free(user_id)
    return bool(await transaction.scalar(select(is_free(user_id))))


async def release(transaction: AsyncSession, user_id: UUID, actor: UUID) -> None:
    """Leave the user without a default avatar."""
    await transaction.execute(
        update(Avatar)
        .where(Avatar.user_id == user_id, Avatar.is_default, Avatar.deleted_at.is_(None))
        .values(is_default=False, updated_by=actor),
        execution_options={"synchronize_session": False},
    )


async def pass_on(avatars: PostgresRepository[models.Avatar], user_id: UUID, actor: UUID) -> None:
    """Make the newest of the user's avatars the default, where there is any left."""
    heir = await avatars.find_all(Avatar.user_id == user_id, sort=["-created_at"], limit=1)
    for avatar in heir:
        await avatars.update(avatar.id, {"is_default": True, "updated_by": actor}, where=Avatar.user_id == user_id)
