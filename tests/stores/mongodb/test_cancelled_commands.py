"""MongoDB's connections when those who asked for something leave: whatever the moment, the pool is whole afterwards."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pymongo
import pytest
import structlog
from pymongo.read_preferences import ReadPreference

from api.config.settings import Settings
from api.stores.mongodb import steady_client
from api.stores.mongodb.client import GuardedClient
from api.stores.stores import open_stores
from tests.support.factories.designs import create_design, designs
from tests.support.failures.stepping import Cancellation, Stepped, until

pytestmark = [
    pytest.mark.anyio,
    # pymongo leaves a socket to the garbage collector where a task is cancelled while it connects
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@pytest.fixture
async def client(settings: Settings, anyio_backend: str) -> AsyncIterator[GuardedClient]:
    """The application's client with a single connection, which is open."""
    async with open_stores(settings.model_copy(update={"mongodb_max_pool_size": 1})) as stores:
        assert isinstance(stores.mongo, GuardedClient)
        await stores.mongo.admin.command("ping")
        yield stores.mongo


def pool_of(client: GuardedClient) -> Any:
    ((_, server),) = client._topology._servers.items()
    return server.pool


async def is_whole(client: GuardedClient) -> None:
    """Return once nothing is under way, with every account settled; what is asked then is answered."""
    await until(lambda: not client.commands, "a command has no end")
    pool = pool_of(client)
    assert not pool.lock.locked()
    assert not client._topology._lock.locked()
    assert (pool.requests, pool.active_sockets, pool.operation_count, pool._pending) == (0, 0, 0, 0)
    answers = await asyncio.gather(*(client.admin.command("ping") for _ in range(3)))
    assert [answer["ok"] for answer in answers] == [1, 1, 1]


async def test_who_leaves_close_behind_the_driver_s_deadline_takes_no_lock_along(client: GuardedClient) -> None:
    """On Python 3.11 the driver waits for a connection in a task of its own. Its deadline cancels that task, which
    takes the lock back first; whoever is cancelled meanwhile leaves it alone with the lock, for good."""
    pool = pool_of(client)
    async with pool.checkout():  # the only connection is in use
        with pymongo.timeout(0.05):
            asking = asyncio.create_task(client.admin.command("ping"))
        await until(lambda: pool.size_cond._waiters)
        async with pool.lock:  # somebody else is at the pool's accounts
            await until(lambda: pool.lock._waiters, "the driver's deadline does not come")
            asking.cancel()
            await until(asking.done)
            assert pool.lock.locked()  # still ours
    assert asking.cancelled()
    await is_whole(client)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("connects", [False, True])
@pytest.mark.parametrize("turn", [0, 1])
async def test_whoever_leaves_wherever_the_driver_waits_the_pool_is_whole(
    client: GuardedClient, monkeypatch: pytest.MonkeyPatch, turn: int, connects: bool, late: bool
) -> None:
    """The first of three gets the connection at once (or opens it), the second waits for it, and all for locks."""
    place, reached = 0, True
    while reached:
        place += 1
        cancellation = Cancellation(place, late=late)
        if connects:
            await pool_of(client).reset_without_pause()
        async with contended(pool_of(client).lock, client._topology._lock):
            tasks = [asyncio.create_task(client.admin.command("ping")) for _ in range(3)]
            with monkeypatch.context() as patch:
                patch.setattr(steady_client._Command, "start", stepping(cancellation, tasks[turn]))
                await asyncio.wait(tasks)
        reached = cancellation.reached > 0
        leaver = tasks.pop(turn)
        assert leaver.cancelled() or leaver.result()["ok"] == 1
        assert [task.result()["ok"] for task in tasks] == [1, 1]
        await is_whole(client)
    assert place > 6


@contextlib.asynccontextmanager
async def contended(*locks: Any) -> AsyncIterator[None]:
    """Locks that are never free when somebody comes, so that everybody waits."""

    async def hold(lock: Any) -> None:
        while True:
            async with lock:
                await asyncio.sleep(0)

    tasks = [asyncio.create_task(hold(lock)) for lock in locks]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def stepping(cancellation: Cancellation, asking: asyncio.Task[Any]) -> Any:
    """How commands start, where this task is cancelled at the places where the driver waits in its command."""
    start = steady_client._Command.start

    def stepped(command: steady_client._Command, work: Coroutine[Any, Any, Any]) -> None:
        if asyncio.current_task() is asking:
            work = Stepped(work, lambda number, future: cancellation.waits(asking, number, future))
        start(command, work)

    return stepped


QUICK: dict[str, Any] = {
    "mongodb_max_pool_size": 1,
    "mongodb_selection_timeout": 0.5,
    "mongodb_connect_timeout": 1.0,
    "breaker_patience": 0.1,
    "statement_timeout": 60.0,  # no test waits so long
}


async def lose_the_pool_s_lock(client: GuardedClient) -> None:
    await pool_of(client).lock.acquire()


async def lose_the_topology_s_lock(client: GuardedClient) -> None:
    await client._topology._lock.acquire()


async def lose_every_connection(client: GuardedClient) -> None:
    """By the pool's accounts they are all in use."""
    pool_of(client).requests = pool_of(client).max_pool_size


@pytest.mark.parametrize(
    ("lose", "hanging"),
    [
        (lose_the_pool_s_lock, 3),
        (lose_the_topology_s_lock, 2),  # a direct read has the connection, and needs no lock of the topology
        (lose_every_connection, 3),
    ],
)
async def test_a_client_that_hangs_is_replaced_by_a_new_one(
    settings: Settings, clean_stores: None, lose: Callable[[GuardedClient], Awaitable[None]], hanging: int
) -> None:
    async with open_stores(settings.model_copy(update=QUICK)) as stores:
        design = await create_design(stores)
        client: Any = stores.mongo
        hung = client._topology
        await lose(client)
        with structlog.testing.capture_logs() as logs:
            waiting = [asyncio.create_task(designs(stores).read(None)) for _ in range(3)]
            found = await asyncio.gather(*waiting)

        assert [[each["_id"] for each in documents] for documents in found] == [[design.id]] * 3
        assert client._topology is not hung
        assert logs == [
            {
                "event": "store's connections replaced, they hung",
                "log_level": "error",
                "store": "MongoDB",
                "waiting": hanging,
            }
        ]
        await is_whole(client)


async def test_a_pool_that_is_only_busy_is_not_replaced(settings: Settings, clean_stores: None) -> None:
    async with open_stores(settings.model_copy(update=QUICK)) as stores:
        client: Any = stores.mongo
        topology = client._topology
        begun, over = asyncio.Event(), asyncio.Event()

        async def work(session: Any, server: Any, connection: Any, preference: Any) -> None:
            begun.set()
            await over.wait()

        slow = asyncio.create_task(client._retryable_read(work, ReadPreference.PRIMARY, None, "ping"))
        await begun.wait()
        waiting = asyncio.create_task(client.admin.command("ping"))
        await until(lambda: client.starved_since is not None)
        client.starved_since -= 60.0
        for _ in range(3):
            heard = client.breaker.last_heard
            await until(lambda: client.breaker.last_heard != heard)  # noqa: B023  the breaker asks, for silence

        over.set()
        assert (await waiting)["ok"] == 1
        await slow
        assert client._topology is topology
