"""Clients of others that follow changes while the processes that serve them come and go."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit
from uuid import uuid4

import anyio
import asyncpg
import psutil  # type: ignore[import-untyped]
import pytest
from pymongo import AsyncMongoClient

from api.config.settings import Settings
from api.stores.mongodb.client import MongoDatabase, mongo_database
from documents.schemas import DESIGNS
from tests.support.documentation.pages import page
from tests.support.failures.proxies import proxying
from tests.support.requests.npm import node_folder
from tests.support.servers import environment, serving
from tests.support.stores.unindexed import make_collections

pytestmark = pytest.mark.anyio

PACKAGES: Final = (
    *("graphql-ws@6.0.6", "graphql-sse@2.5.4", "graphql@16.11.0", "ws@8.18.3"),
    *("@apollo/client@4.3.8", "rxjs@7.8.2", "@urql/core@6.0.3"),
)
CLIENTS: Final = {"graphql-ws", "graphql-sse", "Apollo", "urql over WebSocket", "urql over events"}
FROZEN: Final = 3.0
"""Seconds that a store stands still."""
AWAY: Final = 10.0
"""Seconds that nothing comes through to the clients."""
PACE: Final = 0.03
"""Seconds between two writes: each is told to ten streams, which keeps a processor busy where they follow each other at
once. Still, hundreds are written while the clients are away."""


async def test_what_clients_receive_is_what_was_written_whatever_was_away(
    settings: Settings, clean_stores: None, tmp_path: Path
) -> None:
    """The stores stand still, one process is killed, one leaves; and the clients of the last one are gone for a while,
    which nobody tells it. In the end another collection of designs takes the place of theirs."""
    folder = node_folder(tmp_path, Path(__file__).with_name("following_clients.mjs"), *PACKAGES)
    (folder / "resuming.mjs").write_text(documented_helper())
    with ExitStack() as stack:
        servers = []
        for name in ("killed", "leaving", "staying"):
            (tmp_path / name).mkdir()
            servers.append(
                stack.enter_context(serving("serve", folder=tmp_path / name, variables=environment(settings)))
            )
        killed, leaving, staying = servers
        async with (
            proxying(urlsplit(staying.url).port or 0) as network,
            writer_of_items(settings) as item_writer,
            writer_of_designs(settings) as design_writer,
        ):
            urls = [f"{url}/graphql" for url in (killed.url, leaving.url, f"http://127.0.0.1:{network.port}")]
            with anyio.fail_after(180):
                async with clients(folder, urls) as process:
                    begun = dict.fromkeys(CLIENTS, True)
                    assert await line(process) == {"catalogItems": begun, "designs": begun}
                    async with Ledger(item_writer) as items, Ledger(design_writer) as designs:
                        await grown(items, designs)
                        with frozen(item_writer.server), frozen(design_writer.server):
                            await anyio.sleep(FROZEN)
                        await grown(items, designs)
                        killed.process.send_signal(signal.SIGKILL)
                        await grown(items, designs)
                        leaving.process.send_signal(signal.SIGTERM)
                        await grown(items, designs)
                        network.freeze()
                        await anyio.sleep(AWAY)
                        network.reset()
                        network.thaw()
                        await grown(items, designs)
                    assert await line(process) == {
                        "catalogItems": dict.fromkeys(CLIENTS, items.written),
                        "designs": dict.fromkeys(CLIENTS, designs.written),
                    }

                    await design_writer.make_anew()
                    async with Ledger(design_writer) as others:
                        assert await line(process) == {"designs": dict.fromkeys(CLIENTS, "RESUME_TOKEN_EXPIRED")}
                        found = await line(process)
                        await grown(others)
                    received = (await line(process))["designs"]

    assert found.keys() == received.keys() == CLIENTS
    for client, told in received.items():  # what was written after they had begun may be found and told
        assert found[client] == others.written[: len(found[client])]
        assert told == others.written[-len(told) :]
        assert len(found[client]) + len(told) >= len(others.written)


class Writer:
    """Writes objects with a name into the store that `server` is."""

    def __init__(self, insert: Callable[[str], Awaitable[object]], server: psutil.Process) -> None:
        self.insert, self.server = insert, server


class DesignWriter(Writer):
    """Another program than ours. It may also take the collection away."""

    def __init__(self, database: MongoDatabase, server: psutil.Process) -> None:
        super().__init__(self._insert, server)
        self._database = database
        self._owner = str(uuid4())

    async def make_anew(self) -> None:
        await self._database.drop_collection(DESIGNS.name)
        await make_collections(self._database)

    async def _insert(self, name: str) -> None:
        now = datetime.now(UTC)
        own = {"userId": self._owner, "name": name, "status": "published", "layers": [], "catalogItemIds": []}
        design = {**own, "version": 1, "createdAt": now, "updatedAt": now}
        await self._database[DESIGNS.name].insert_one(design)


class Ledger:
    """Objects that are written one after the other as long as the block runs, each named by the next number, and in the
    end one that says so. `written` are those that were acknowledged."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.written: list[str] = []
        self._stops = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._write())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stops = True
        await self._task

    async def grow(self) -> None:
        """Return once some more have been written."""
        wanted = len(self.written) + 20
        while len(self.written) < wanted:
            assert not self._task.done(), self._task
            await anyio.sleep(0.01)

    async def _write(self) -> None:
        for number in count(1):
            if self._stops:
                return await self._insert("The end")
            await self._insert(str(number))
            await anyio.sleep(PACE)
        raise AssertionError

    async def _insert(self, name: str) -> None:
        await self._writer.insert(name)
        self.written.append(name)


async def grown(*ledgers: Ledger) -> None:
    """Return once all of them have grown."""
    await asyncio.gather(*(ledger.grow() for ledger in ledgers))


@asynccontextmanager
async def writer_of_items(settings: Settings) -> AsyncIterator[Writer]:
    connection = await asyncpg.connect(settings.postgres_url)
    try:
        server = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()")).parent()
        statement = "INSERT INTO catalog.catalog_items (name, type, price) VALUES ($1, 'fabric', 1)"
        yield Writer(lambda name: connection.execute(statement, name), server)
    finally:
        await connection.close()


@asynccontextmanager
async def writer_of_designs(settings: Settings) -> AsyncIterator[DesignWriter]:
    async with AsyncMongoClient[dict[str, Any]](settings.mongodb_url) as client:
        server = listening_on(urlsplit(settings.mongodb_url).port or 0)
        yield DesignWriter(mongo_database(settings, client), server)


def listening_on(port: int) -> psutil.Process:
    """The process that listens on a port of this machine."""
    (pid,) = {
        each.pid
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr.port == port
    }
    return psutil.Process(pid)


@asynccontextmanager
async def clients(folder: Path, urls: list[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *("node", "following_clients.mjs", *urls),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def line(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    assert process.stderr is not None
    said = await process.stdout.readline()
    assert said, (await process.stderr.read()).decode()
    return json.loads(said)


@contextmanager
def frozen(server: psutil.Process) -> Iterator[None]:
    """The process and its children stand still inside the block."""
    stopped = [server, *server.children(recursive=True)]
    for each in stopped:
        each.suspend()
    try:
        yield
    finally:
        for each in reversed(stopped):
            each.resume()


def documented_helper() -> str:
    """The module that the documentation has for clients that connect again by themselves."""
    (block,) = (block.text for block in page("docs/using/live.md").blocks if "function resuming" in block.text)
    return block
