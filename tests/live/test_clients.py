"""Clients of others that follow changes while the processes that serve them come and go."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import anyio
import asyncpg
import psutil  # type: ignore[import-untyped]
import pytest
from pymongo import AsyncMongoClient

from api.config.settings import Settings
from api.stores.mongodb import mongo_database
from tests.support.documentation.pages import page
from tests.support.failures.proxies import proxying
from tests.support.requests.npm import node_folder
from tests.support.servers import environment, serving

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


@pytest.mark.parametrize("subject", ["catalogItems", "designs"])
async def test_what_clients_receive_is_what_was_written_whatever_was_away(
    settings: Settings, clean_stores: None, tmp_path: Path, subject: str
) -> None:
    """The store stands still, one process is killed, one leaves; and the clients of the last one are gone for a while,
    which nobody tells it."""
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
        async with proxying(urlsplit(staying.url).port or 0) as network:
            urls = [f"{url}/graphql" for url in (killed.url, leaving.url, f"http://127.0.0.1:{network.port}")]
            with anyio.fail_after(180):
                async with clients(folder, subject, urls) as process:
                    assert set(await line(process)) == CLIENTS
                    async with WRITING[subject](settings) as ledger:
                        await ledger.grow()
                        with frozen(ledger.server):
                            await anyio.sleep(FROZEN)
                        await ledger.grow()
                        killed.process.send_signal(signal.SIGKILL)
                        await ledger.grow()
                        leaving.process.send_signal(signal.SIGTERM)
                        await ledger.grow()
                        network.freeze()
                        await anyio.sleep(AWAY)
                        network.reset()
                        network.thaw()
                        await ledger.grow()
                        await ledger.end()
                    received = await line(process)

    assert received == dict.fromkeys(CLIENTS, ledger.written)


class Ledger:
    """Objects that are written one after the other, each named by the next number, and what `server` has
    acknowledged."""

    def __init__(self, insert: Callable[[str], Awaitable[object]], server: psutil.Process) -> None:
        self._insert_object, self.server = insert, server
        self.written: list[str] = []
        self._stops = False
        self._task = asyncio.create_task(self._write())

    async def grow(self) -> None:
        """Return once some more have been written."""
        wanted = len(self.written) + 20
        while len(self.written) < wanted:
            assert not self._task.done(), self._task
            await anyio.sleep(0.01)

    async def end(self) -> None:
        """Write no more, but one object that says so."""
        await self.stop()
        await self._insert("The end")

    async def stop(self) -> None:
        """Write no more."""
        self._stops = True
        await self._task

    async def _write(self) -> None:
        for number in count(1):
            if self._stops:
                return
            await self._insert(str(number))
            await anyio.sleep(0.01)

    async def _insert(self, name: str) -> None:
        await self._insert_object(name)
        self.written.append(name)


@asynccontextmanager
async def writing_items(settings: Settings) -> AsyncIterator[Ledger]:
    connection = await asyncpg.connect(settings.postgres_url)
    server = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()")).parent()
    statement = "INSERT INTO catalog.catalog_items (name, type, price) VALUES ($1, 'fabric', 1)"
    ledger = Ledger(lambda name: connection.execute(statement, name), server)
    try:
        yield ledger
    finally:
        await ledger.stop()
        await connection.close()


@asynccontextmanager
async def writing_designs(settings: Settings) -> AsyncIterator[Ledger]:
    """By another program than ours."""
    async with AsyncMongoClient[dict[str, Any]](settings.mongodb_url) as client:
        collection = mongo_database(settings, client)["designs"]
        owner = str(uuid4())

        async def insert(name: str) -> None:
            now = datetime.now(UTC)
            own = {"userId": owner, "name": name, "status": "published", "layers": [], "catalogItemIds": []}
            await collection.insert_one({**own, "version": 1, "createdAt": now, "updatedAt": now})

        ledger = Ledger(insert, listening_on(urlsplit(settings.mongodb_url).port or 0))
        try:
            yield ledger
        finally:
            await ledger.stop()


WRITING: Final[Mapping[str, Callable[[Settings], AbstractAsyncContextManager[Ledger]]]] = {
    "catalogItems": writing_items,
    "designs": writing_designs,
}


def listening_on(port: int) -> psutil.Process:
    """The process that listens on a port of this machine."""
    (pid,) = {
        each.pid
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr.port == port
    }
    return psutil.Process(pid)


@asynccontextmanager
async def clients(folder: Path, subject: str, urls: list[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *("node", "following_clients.mjs", subject, *urls),
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
