"""Deleting expired sessions and keys: each serving process does it from time to time.

Several processes may do so at once, since each skips rows that another one has locked.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, select

from api.background import in_background
from api.config.settings import Settings
from api.errors import as_app_error
from api.idempotency import claims
from api.log import logger
from api.stores.stores import Stores
from models import Session

BATCH: Final = 1000
"""Rows that are deleted with one statement, so that no lock is held for long."""


async def sweep_sessions(stores: Stores, limit: int) -> int:
    """Delete at most `limit` ended sessions with their refresh tokens. Returns how many."""
    chosen = select(Session.id).where(Session.expires_at < func.now()).limit(limit).with_for_update(skip_locked=True)
    statement = delete(Session).where(Session.id.in_(chosen)).returning(Session.id)
    async with stores.sessions.begin() as session:
        found = await session.scalars(statement, execution_options={"synchronize_session": False})
        return len(found.all())


async def sweep(stores: Stores, settings: Settings, batch: int = BATCH) -> tuple[int, int]:
    """Delete all ended sessions and all expired keys. Returns how many of each."""
    lifetime = timedelta(seconds=settings.idempotency_key_lifetime)
    sessions = keys = 0
    while removed := await sweep_sessions(stores, batch):
        sessions += removed
    while removed := await claims.sweep(stores, lifetime, batch):
        keys += removed
    return sessions, keys


@contextlib.asynccontextmanager
async def sweeping(stores: Stores, settings: Settings) -> AsyncIterator[None]:
    """Sweep every SWEEP_INTERVAL as long as the block runs; never where that is 0."""
    if not settings.sweep_interval:
        yield
        return
    async with in_background(_sweep_regularly(stores, settings)):
        yield


async def _sweep_regularly(stores: Stores, settings: Settings) -> None:
    while True:
        # so that not all processes sweep at the same moment
        await asyncio.sleep(settings.sweep_interval * random.uniform(0.5, 1))  # noqa: S311  no secret
        try:
            sessions, keys = await sweep(stores, settings)
        except Exception as error:
            if as_app_error(error) is None:
                raise
            logger.warning("not swept", error=repr(error))
        else:
            logger.info("swept", sessions=sessions, idempotency_keys=keys)
