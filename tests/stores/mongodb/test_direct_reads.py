"""Reads of MongoDB past most of the driver: they answer and fail as the driver does, and leave its pool whole."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pymongo
import pytest
import structlog
from bson import ObjectId, Timestamp
from pymongo import ReadPreference
from pymongo.asynchronous.pool import Pool
from pymongo.errors import AutoReconnect, NetworkTimeout, NotPrimaryError, OperationFailure
from pymongo.network_layer import PyMongoProtocol
from secantus import SecantusDBServer  # type: ignore[import-untyped]

from api.config.settings import Settings
from api.errors import StoreUnavailable
from api.log import CommandCounter
from api.stores.mongodb import direct_reads, steady_client
from api.stores.mongodb.client import GuardedClient, guarded_mongo_client
from documents.reading import run_at_once, run_read
from tests.support.failures.proxies import Proxy, proxying, through
from tests.support.failures.stepping import Cancellation, everywhere, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # the driver's, of connections that are cut off
]

OPTIONS = "directConnection=true&heartbeatFrequencyMS=500"
"""The server says nothing by itself when a fail point makes it fail: it is looked at again after a heartbeat."""
FIND: dict[str, Any] = {"find": "things", "filter": {}, "sort": {"_id": 1}}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URI of a server that can be told to fail."""
    with SecantusDBServer(storage_path=":memory:", enable_test_commands=True) as server:
        yield server.uri


@pytest.fixture
async def proxy(server: str, anyio_backend: str) -> AsyncIterator[Proxy]:
    async with proxying(int(server.partition("//")[2].partition("/")[0].rpartition(":")[2])) as proxy:
        yield proxy


Connect = Callable[..., contextlib.AbstractAsyncContextManager[GuardedClient]]


@pytest.fixture
def connected(settings: Settings, server: str, proxy: Proxy) -> Connect:
    """Makes clients of the application's, through the proxy; each has opened a connection."""

    @contextlib.asynccontextmanager
    async def connect(*, direct: bool = True, **changes: Any) -> AsyncIterator[GuardedClient]:
        changes = {"mongodb_max_pool_size": 1, "breaker_patience": 60.0, **changes}
        client = guarded_mongo_client(
            settings.model_copy(update={"mongodb_uri": through(f"{server}?{OPTIONS}", proxy.port), **changes})
        )
        if not direct:
            client.direct = None
        try:
            await client.things.things.delete_many({})
            await client.things.things.insert_many(
                [{"_id": number, "at": ObjectId(f"{number:024x}")} for number in range(5)]
            )
            yield client
        finally:
            proxy.thaw()
            await client.close()

    return connect


@pytest.fixture
async def client(connected: Connect) -> AsyncIterator[GuardedClient]:
    async with connected() as client:
        yield client


@contextlib.contextmanager
def driver_s_own(client: GuardedClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The commands that go the driver's own way."""
    taken: list[str] = []
    original = type(client)._retry_internal

    async def noted(self: Any, func: Any, session: Any, bulk: Any, operation: str, *args: Any, **named: Any) -> Any:
        taken.append(operation)
        return await original(self, func, session, bulk, operation, *args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(type(client), "_retry_internal", noted)
        yield taken


def pool_of(client: GuardedClient) -> Any:
    ((_, server),) = client._topology._servers.items()
    return server.pool


async def is_whole(client: GuardedClient) -> None:
    """Return once nothing is under way, with every account settled; what is asked then is answered."""
    assert client.direct is not None
    direct = client.direct
    await until(lambda: not client.commands and not direct.under_way and not client._apart, "a read has no end")
    pool = pool_of(client)
    assert not pool.lock.locked()
    assert (pool.requests, pool.active_sockets, pool.operation_count, pool._pending) == (0, 0, 0, 0)
    assert not pool.active_contexts
    answers = await asyncio.gather(*(run_read(client.things, FIND) for _ in range(3)))
    assert [len(answer["cursor"]["firstBatch"]) for answer in answers] == [5, 5, 5]


async def test_a_read_is_what_the_driver_s_is(
    connected: Connect, client: GuardedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(CommandCounter, "count", staticmethod(lambda command: sent.append(dict(command))))
    with driver_s_own(client, monkeypatch) as own:
        found = await run_at_once(client.things, {**FIND})
    assert own == []
    async with connected(direct=False) as other:
        expected = await run_at_once(other.things, {**FIND})

    assert found == expected is not None
    assert [each["_id"] for each in found or ()] == [0, 1, 2, 3, 4]
    direct, *_, driver = [command for command in sent if "find" in command]
    assert driver.pop("lsid")
    for command in (direct, driver):
        assert 0 < command.pop("maxTimeMS") <= 15_000
        command.pop("$clusterTime", None)
    assert direct == driver
    await is_whole(client)


async def test_many_at_once_share_the_pool(connected: Connect, proxy: Proxy) -> None:
    async with connected(mongodb_max_pool_size=3) as client:
        found = await asyncio.gather(*(run_at_once(client.things, {**FIND}) for _ in range(40)))
        assert proxy.connections <= 3 + 2  # and the driver's monitors
        await is_whole(client)

    assert {len(each or ()) for each in found} == {5}


async def test_an_answer_in_several_replies_is_whole(client: GuardedClient) -> None:
    found = await run_at_once(client.things, {**FIND, "batchSize": 2})
    assert found is None  # a cursor reads it, then
    assert [each["_id"] async for each in client.things.things.find().sort("_id").batch_size(2)] == [0, 1, 2, 3, 4]
    await is_whole(client)


async def test_a_pool_that_is_reset_wakes_its_readers(client: GuardedClient, proxy: Proxy) -> None:
    pool = pool_of(client)
    proxy.freeze()
    reading = asyncio.create_task(run_read(client.things, FIND))
    await until(lambda: pool.active_contexts)
    await pool.reset(interrupt_connections=True)
    await pool.ready()
    with pytest.raises(AutoReconnect, match="operation cancelled"):
        await reading
    proxy.thaw()
    await is_whole(client)


@pytest.mark.parametrize("refuses", [(2, "BadValue"), (50, "MaxTimeMSExpired"), (13, "Unauthorized")])
async def test_what_the_server_refuses_is_what_the_driver_says(
    client: GuardedClient, connected: Connect, server: str, refuses: tuple[int, str], proxy: Proxy
) -> None:
    accepted = proxy.accepted
    errors = []
    async with failing(server, errorCode=refuses[0]):
        with pytest.raises(OperationFailure) as caught:
            await run_read(client.things, FIND)
        errors.append(caught.value)
    assert proxy.accepted == accepted  # the connection stays
    await is_whole(client)
    async with connected(direct=False) as other, failing(server, errorCode=refuses[0]):
        with pytest.raises(OperationFailure) as caught:
            await run_read(other.things, FIND)
        errors.append(caught.value)

    direct, driver = errors
    assert type(direct) is type(driver)
    assert (direct.code, str(direct).partition(", full")[0]) == (driver.code, str(driver).partition(", full")[0])


@contextlib.asynccontextmanager
async def failing(server: str, **data: Any) -> AsyncIterator[None]:
    """The server fails the next `find`."""
    async with pymongo.AsyncMongoClient[dict[str, Any]](server) as client:
        mode = {"times": 1}
        await client.admin.command(
            "configureFailPoint", "failCommand", mode=mode, data={"failCommands": ["find"], **data}
        )
        try:
            yield
        finally:
            await client.admin.command("configureFailPoint", "failCommand", mode="off")


@pytest.mark.parametrize("code", [10107, 91])  # not primary, shutting down
async def test_a_failover_is_noticed_and_the_read_repeated(client: GuardedClient, server: str, code: int) -> None:
    description = client.topology_description
    async with failing(server, errorCode=code):
        with pytest.raises(NotPrimaryError):
            await run_read(client.things, FIND)
        assert client.topology_description is not description  # the server is looked at again
    async with failing(server, errorCode=code):
        assert len(await run_at_once(client.things, {**FIND}) or ()) == 5
    await is_whole(client)


@pytest.mark.parametrize("how", ["closed by the server", "reset", "broken off"])
async def test_a_lost_connection_is_one_for_the_driver(
    client: GuardedClient, server: str, proxy: Proxy, how: str
) -> None:
    """It drops its connections, and the read is repeated over a new one."""
    for run in (run_read, run_at_once):
        pool = pool_of(client)
        generation = pool.gen.get_overall()
        async with failing(server, closeConnection=True) if how == "closed by the server" else contextlib.nullcontext():
            if how == "broken off":
                proxy.cut_answer_to(b"things")
            elif how == "reset":
                proxy.freeze()
            reading = asyncio.create_task(run(client.things, {**FIND}))
            if how == "reset":
                await until(lambda: pool.active_contexts)  # noqa: B023
                proxy.reset()
                proxy.thaw()
            if run is run_read:
                with pytest.raises(AutoReconnect):
                    await reading
                assert pool.gen.get_overall() > generation
            else:
                assert len(await reading or ()) == 5
        await is_whole(client)


async def test_a_deadline_closes_the_connection_and_no_more(connected: Connect, proxy: Proxy) -> None:
    async with connected() as client:
        description = client.topology_description
        generation = pool_of(client).gen.get_overall()
        proxy.freeze()
        with pymongo.timeout(0.1), pytest.raises(NetworkTimeout, match="timed out"):
            await run_read(client.things, FIND)
        assert client.topology_description is description  # a slow command is no lost server
        assert pool_of(client).gen.get_overall() == generation
        assert not client.breaker.is_open
        proxy.thaw()
        await is_whole(client)


async def test_whoever_leaves_wherever_it_waits_the_pool_is_whole(client: GuardedClient) -> None:
    async def run(cancellation: Cancellation) -> None:
        task = cancellation.start(run_read(client.things, FIND))
        await asyncio.wait({task})
        assert task.cancelled() or len(task.result()["cursor"]["firstBatch"]) == 5

    async for _ in everywhere(run):
        await is_whole(client)


async def test_whoever_leaves_closes_the_connection(client: GuardedClient, proxy: Proxy) -> None:
    """So the server knows, and nobody gets an answer to another's question."""
    accepted = proxy.accepted
    proxy.freeze()
    reading = asyncio.create_task(run_read(client.things, FIND))
    await until(lambda: pool_of(client).active_contexts)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    proxy.thaw()
    await is_whole(client)
    assert proxy.accepted > accepted


async def test_a_breaker_refuses_and_ends_reads(client: GuardedClient, proxy: Proxy) -> None:
    proxy.freeze()
    reading = asyncio.create_task(run_read(client.things, FIND))
    await until(lambda: client.breaker._calls)
    client.breaker._open("by the test")
    client.breaker._end_calls()
    with pytest.raises(StoreUnavailable):
        await reading
    with pytest.raises(StoreUnavailable):
        await run_read(client.things, FIND)
    client.breaker._close()
    proxy.thaw()
    await is_whole(client)


async def test_others_who_wait_go_first(client: GuardedClient, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = pool_of(client)
    with driver_s_own(client, monkeypatch) as own:
        async with pool.lock:  # somebody is at the pool's accounts
            locked = asyncio.create_task(run_read(client.things, FIND))
            await until(lambda: pool.lock._waiters)
        await locked
        assert own == ["find"]
        proxy.freeze()
        first = asyncio.create_task(run_read(client.things, FIND))
        await until(lambda: pool.active_contexts)
        waiting = [asyncio.create_task(run_read(client.things, FIND)) for _ in range(2)]
        await until(lambda: len(pool.size_cond._waiters) == 2)
        assert client.direct is not None
        assert client.direct.begin("things", FIND, ReadPreference.PRIMARY, client.codec_options) is None
        client.starved_since = 0.0
        assert not client.is_starved(1.0)  # a read has the connection
        proxy.thaw()
        await asyncio.gather(first, *waiting)
        assert own == ["find"] * 3
    await is_whole(client)


async def test_the_cluster_s_time_is_passed_on(client: GuardedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    later = {"clusterTime": Timestamp(2**32 - 1, 1), "signature": {"hash": b"", "keyId": 0}}
    received: list[Any] = []
    monkeypatch.setattr(client._topology, "_max_cluster_time", later)
    monkeypatch.setattr(client._topology, "_receive_cluster_time_no_lock", received.append)
    sent: list[Any] = []
    monkeypatch.setattr(CommandCounter, "count", staticmethod(lambda command: sent.append(command.get("$clusterTime"))))
    reply = await run_read(client.things, FIND)

    assert sent == [later]
    assert received == [reply.get("$clusterTime")]


@pytest.mark.parametrize(
    ("table", "value", "lacking"),
    [
        ("_NEEDED", {Pool: ("conns", "sockets")}, ["Pool.sockets"]),
        (
            "_CALLED",
            {PyMongoProtocol.write: ("self", "data")},
            ["PyMongoProtocol.write(self, message: 'bytes') -> 'None'"],
        ),
    ],
)
async def test_another_driver_is_read_by_its_own_way(
    connected: Connect, monkeypatch: pytest.MonkeyPatch, table: str, value: Any, lacking: list[str]
) -> None:
    steady_client._is_driver_known.cache_clear()
    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr(direct_reads, table, value)
        async with connected() as client, connected():
            assert client.direct is None
            assert len(await run_at_once(client.things, {**FIND}) or ()) == 5
    steady_client._is_driver_known.cache_clear()

    (said,) = [entry for entry in logs if entry["log_level"] == "warning"]  # once, for all clients
    assert said["event"].startswith("MongoDB's driver is another one")
    assert said["lacking"] == lacking


async def test_who_listens_to_commands_hears_of_all(settings: Settings, server: str) -> None:
    class Listener(CommandCounter):
        """Is told more than the number of commands."""

    async with steady_client.SteadyClient(server, event_listeners=[Listener()]) as client:
        assert client.direct is None
