"""PostgreSQL's and Redis's connections when those who asked for something leave: wherever they are cancelled, once or
twice, early or late, the pool is whole afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from api.config.settings import Settings
from api.rates.counts import SharedCounts, _client
from api.stores.stores import Stores, open_stores
from models import User
from models.statements import First, compile_select
from tests.support.factories.users import create_user, users
from tests.support.failures.stepping import PATIENCE, Cancellation, everywhere, until
from tests.support.stores.redis_server import redis_server
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

PID = compile_select(select(func.pg_backend_pid().label("pid")))
ASSUMPTION = ("SELECT set_config('app.role', $1, true)", ("admin",))
ASSUME: First = lambda: ASSUMPTION  # noqa: E731  a value of this type


async def compiled(stores: Stores) -> None:
    await stores.fetch(PID, ())


async def in_a_transaction(stores: Stores) -> None:
    await stores.statements.fetch(PID, (), ASSUME)


async def read(stores: Stores) -> None:
    await users(stores).count()


async def entities(stores: Stores) -> None:
    await users(stores).find_all()


async def write(stores: Stores) -> None:
    async with users(stores).transaction() as own:
        (user,) = await own.find_all()
        await own.update(user.id, {"first_name": "Grace"}, where=User.id == user.id)


@pytest.mark.parametrize(
    ("ask", "cold"),
    [
        *((ask, False) for ask in (compiled, in_a_transaction, read, entities, write)),
        *((ask, True) for ask in (compiled, write)),
    ],
)
async def test_wherever_who_asks_postgresql_leaves_the_pool_is_whole(
    settings: Settings,
    clean_stores: None,
    locks: asyncpg.Connection[asyncpg.Record],
    ask: Callable[[Stores], Awaitable[None]],
    cold: bool,
) -> None:
    """There is one connection, which somebody else has taken just before, so that it is waited for."""
    before_all = await locks.fetchval("SELECT clock_timestamp()")
    async with open_stores(settings.model_copy(update={"postgres_pool_size": 1})) as stores:
        await create_user(stores)

        async def run(cancellation: Cancellation) -> None:
            if cold:
                await stores.engine.dispose()
            before = asyncio.create_task(compiled(stores))
            await asyncio.sleep(0)
            task = cancellation.start(work(ask, stores))
            after = asyncio.create_task(compiled(stores))
            await asyncio.wait([before, task, after])
            assert task.cancelled() or task.exception() is None
            assert (before.exception(), after.exception()) == (None, None)

        places = 0
        async for cancellation in everywhere(run):
            pool: Any = stores.engine.pool
            await until(lambda: pool.checkedout() == 0, "a connection does not come back")  # noqa: B023
            await asyncio.gather(*(compiled(stores) for _ in range(2)))
            assert (pool.checkedin(), pool.checkedout(), pool.overflow()) == (1, 0, 0)
            places += cancellation.reached > 0
        assert places > 3

        async def own() -> list[str]:
            await locks.execute("SELECT pg_stat_clear_snapshot()")
            # other tests' connections last
            question = """
                SELECT state FROM pg_stat_activity
                WHERE application_name = 'fashion-wallet' AND datname = current_database() AND backend_start > $1
            """
            return [row["state"] for row in await locks.fetch(question, before_all)]

        async with asyncio.timeout(PATIENCE):
            while await own() != ["idle"]:  # no connection is left open that the pool doesn't know
                await pause()


async def work(ask: Callable[[Stores], Awaitable[None]], stores: Stores) -> None:
    await ask(stores)


async def test_wherever_who_counts_in_redis_leaves_the_pool_is_whole(settings: Settings, tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        counts = SharedCounts(settings.model_copy(update={"redis_url": SecretStr(server.url), "redis_timeout": 3.0}))
        assert await counts.incr_shared("k", 3600, 1) == 1
        assert counts._redis is not None
        pool = _client(counts._redis).connection_pool
        pool.max_connections = 1

        async def count() -> int | None:
            return await counts.incr_shared("k", 3600, 1)

        async def run(cancellation: Cancellation) -> None:
            before = asyncio.create_task(count())
            await asyncio.sleep(0)
            task, after = cancellation.start(count()), asyncio.create_task(count())
            await asyncio.wait([before, task, after])

        places = 0
        async for cancellation in everywhere(run):
            async with asyncio.timeout(PATIENCE):
                answers = await asyncio.gather(*(count() for _ in range(3)))
            assert None not in answers
            assert not counts.is_down
            assert not pool._condition.locked()
            assert len(pool._in_use_connections) == 0
            places += cancellation.reached > 0
        assert places > 3
        await counts.close()
