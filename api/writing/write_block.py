"""The write block: the one PostgreSQL transaction of a mutation."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.rights.identity import identity_of

if TYPE_CHECKING:
    from api.fields.context import Context

IDENTIFY = text(
    "SELECT set_config('app.user_id', :user_id, true), set_config('app.role', :role, true),"
    " set_config('app.request_id', :request_id, true)"
)
"""Tells PostgreSQL who acts, until the transaction ends."""


@contextlib.asynccontextmanager
async def write_block(
    context: Context, *, system: bool = False, resumable: bool = False
) -> AsyncIterator[AsyncSession]:
    """One PostgreSQL transaction whose settings say who acts, for triggers and row-level security.

    `system` is for writes to accounts that aren't the viewer's, such as sign-up: row-level security lets them pass.
    A mutation with an idempotency key doesn't run again once it has written something; `resumable` is for a step of an
    operation that may run again. Leaving the block commits; any error, also a cancellation, rolls back.
    """
    stores = context.system_stores if system else context.stores
    async with stores.sessions.begin() as session:
        if not stores.row_level_security:  # under row-level security, every transaction begins with this
            identity = identity_of(context.viewer, context.request_id, system=system)
            await session.execute(IDENTIFY, dataclasses.asdict(identity))
        yield session
        if context.claim is not None and not resumable:
            await context.claim.mark(session)
