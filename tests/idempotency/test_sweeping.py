"""What has expired goes while the API serves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest
from sqlalchemy import func, insert, select

from api.config.settings import Settings
from api.idempotency.sweeping import sweeping
from api.stores.stores import Stores
from models import IdempotencyKey, Session
from tests.support.factories.users import create_user
from tests.support.signing_in import open_session
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

LONG_AGO = datetime(2026, 3, 4, tzinfo=UTC)


async def left(stores: Stores) -> tuple[int, int]:
    """Sessions and keys."""
    async with stores.sessions() as session:
        query = select(
            select(func.count()).select_from(Session).scalar_subquery(),
            select(func.count()).select_from(IdempotencyKey).scalar_subquery(),
        )
        sessions, keys = (await session.execute(query)).one()
        return sessions, keys


async def test_ended_sessions_and_old_keys_are_removed_and_no_others(stores: Stores, settings: Settings) -> None:
    # given
    user = await create_user(stores)
    await open_session(stores, user.id, expires_at=LONG_AGO, created_at=LONG_AGO - timedelta(days=1))
    lasting = await open_session(stores, user.id)
    async with stores.sessions.begin() as session:
        for key, moment in (("old", LONG_AGO), ("new", datetime.now(UTC))):
            values = {"actor": "a", "key": key, "fingerprint": b"", "created_at": moment, "locked_until": LONG_AGO}
            await session.execute(insert(IdempotencyKey).values(values))

    # when
    async with sweeping(stores, settings.model_copy(update={"sweep_interval": 0.01})):
        with anyio.fail_after(20):
            while await left(stores) != (1, 1):
                await pause()

    # then
    async with stores.sessions() as session:
        assert list(await session.scalars(select(Session.id))) == [lasting]
        assert list(await session.scalars(select(IdempotencyKey.key))) == ["new"]


async def test_an_interval_of_zero_is_never(stores: Stores, settings: Settings) -> None:
    user = await create_user(stores)
    await open_session(stores, user.id, expires_at=LONG_AGO, created_at=LONG_AGO - timedelta(days=1))
    async with sweeping(stores, settings.model_copy(update={"sweep_interval": 0})):
        pass
    assert await left(stores) == (1, 0)
