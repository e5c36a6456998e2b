"""Statements on `shared.users`."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

import models
from api.accounts.emails import has_email
from api.error_codes import MutationErrorCode
from api.lists.rows import RowReader
from api.stores.stores import Stores
from api.writing.refusals import Refusal, conflict
from models import PostgresRepository

UNIQUE_VIOLATION = "23505"

users = RowReader(models.User)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account's id and password hash."""

    user_id: UUID
    password_hash: str


def repository(stores: Stores) -> PostgresRepository[models.User]:
    """The repository of accounts."""
    return PostgresRepository(models.User, stores.reads, stores.sessions)


async def by_email(stores: Stores, email: str) -> Credentials | None:
    """The credentials of the live account with this email; the canonical forms are compared."""
    if "\0" in email:  # no row has a null character, and the driver refuses it
        return None
    return await _credentials(stores, has_email(email))


async def by_id(stores: Stores, user_id: UUID) -> Credentials | None:
    """The credentials of a live account."""
    return await _credentials(stores, models.User.id == user_id)


async def email_of(stores: Stores, user_id: UUID) -> str | None:
    """The address of a live account, as it is stored."""
    rows = await repository(stores).read(("email",), where=models.User.id == user_id)
    return rows[0][0] if rows else None


async def _credentials(stores: Stores, where: ColumnElement[bool]) -> Credentials | None:
    rows = await repository(stores).read(("id", "password_hash"), where=where)
    return Credentials(*rows[0]) if rows else None


async def hold(
    transaction: AsyncSession, user_id: UUID, *, password_hash: str | None = None, change: bool = False
) -> models.User | None:
    """Lock an active account: nobody can deactivate, delete or change it until the transaction ends.

    None where it is inactive or deleted, or no longer has this `password_hash`. `change` says that
    this transaction will change it.
    """
    statement = select(models.User).where(
        models.User.id == user_id, models.User.is_active, models.User.deleted_at.is_(None)
    )
    if password_hash is not None:
        statement = statement.where(models.User.password_hash == password_hash)
    held = statement.with_for_update(key_share=True) if change else statement.with_for_update(read=True)
    account: models.User | None = await transaction.scalar(held)
    if account is not None:
        transaction.expunge(account)
    return account


async def keep_an_admin(transaction: AsyncSession, without: UUID) -> None:
    """Make sure that there is an active admin besides this account, until the transaction ends.

    Locks all admins in the order of their ids, so that two who dismiss each other at the same time don't deadlock.
    Raises Refusal with LAST_ADMIN.
    """
    admins = (
        select(models.User.id)
        .where(models.User.role == "admin", models.User.is_active, models.User.deleted_at.is_(None))
        .order_by(models.User.id)
        .with_for_update(key_share=True)
    )
    if list(await transaction.scalars(admins)) == [without]:
        raise conflict(
            MutationErrorCode.LAST_ADMIN, "This is the last active admin: make somebody else one first.", "id"
        )


def is_taken(error: IntegrityError) -> bool:
    """Whether a write failed because another account has the email; nothing else of an account is unique."""
    return getattr(error.orig, "sqlstate", None) == UNIQUE_VIOLATION


def email_taken() -> Refusal:
    """The refusal of an email that another account (possibly a deleted one) has."""
    return conflict(
        MutationErrorCode.EMAIL_TAKEN,
        "There is an account with this email already; a deleted account keeps its email.",
        "email",
    )
