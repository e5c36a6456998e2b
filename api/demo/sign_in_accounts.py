"""The demo accounts that one can sign in to."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import select

from api.demo.names import ACCOUNTS
from api.demo.users import DOMAIN
from api.stores.stores import Stores
from models import User

EMAILS: Final = tuple(f"{role}@{DOMAIN}" for role, *_ in ACCOUNTS)
"""Addresses of the demo accounts, one a role, in the order of `ACCOUNTS`."""


class DemoAccount(NamedTuple):
    """An account that can be signed in to."""

    email: str
    role: str
    password_hash: str


async def demo_accounts(stores: Stores) -> list[DemoAccount]:
    """The accounts that exist and may sign in, in the order of EMAILS."""
    statement = select(User.email, User.role, User.password_hash).where(
        User.email.in_(EMAILS), User.is_active, User.deleted_at.is_(None)
    )
    async with stores.reads.connect() as connection:
        found = {
            row.email: DemoAccount(row.email, row.role, row.password_hash)
            for row in await connection.execute(statement)
        }
    return [found[email] for email in EMAILS if email in found]
