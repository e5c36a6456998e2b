"""How much of the pools is in use, and the warning of it."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from api.config.settings import Settings
from api.stores.diagnostics import pool_use
from api.stores.diagnostics.pool_use import PoolUse, PoolWatch, mongo_use, postgres_use
from tests.support.applications import running
from tests.support.waiting import pause


def test_a_pool_is_warned_of_once_until_it_has_room_again() -> None:
    watch = PoolWatch()
    with capture_logs() as lines:
        for in_use in (7, 8, 10, 7, 9, 6, 5, 8):
            watch.look([PoolUse("PostgreSQL", in_use, 0, 10), PoolUse("MongoDB", 0, 10, 10)])

    assert [(line["event"], line["store"], line["in_use"], line["limit"]) for line in lines] == [
        ("pool nearly used up", "PostgreSQL", 8, 10),
        ("pool has room again", "PostgreSQL", 5, 10),
        ("pool nearly used up", "PostgreSQL", 8, 10),
    ]


async def said(lines: list[Any], event: str) -> None:
    """Return once this was logged."""
    with anyio.fail_after(30):
        while not any(line["event"] == event for line in lines):
            await pause()


@pytest.mark.anyio
async def test_a_process_looks_at_its_pools(
    settings: Settings, clean_stores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_use, "EVERY", 0.01)
    with capture_logs() as lines:
        async with running(settings, postgres_pool_size=1, postgres_max_overflow=1, search_indexing=False) as (app, _):
            stores = app.state.stores
            async with stores.engine.connect():
                assert postgres_use(stores.engine) == PoolUse("PostgreSQL", 1, 0, 2)
                async with stores.engine.connect():
                    await said(lines, "pool nearly used up")
            await said(lines, "pool has room again")


@pytest.mark.anyio
async def test_connections_to_mongodb_are_counted(settings: Settings, clean_stores: None) -> None:
    async with running(settings, mongodb_max_pool_size=7) as (app, _):
        stores = app.state.stores
        await asyncio.gather(*(stores.database.command("ping") for _ in range(3)))

        use = mongo_use(stores.mongo)

        assert (use.in_use, use.limit) == (0, 7)
        assert 1 <= use.idle <= 3
