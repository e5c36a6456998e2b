"""Clients of others that follow changes while the processes that serve them come and go."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import asyncpg
import psutil  # type: ignore[import-untyped]
import pytest

from api.config.settings import Settings
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
"""Seconds that PostgreSQL stands still."""
AWAY: Final = 10.0
"""Seconds that nothing comes through to the clients."""


async def test_what_clients_receive_is_what_was_written_whatever_was_away(
    settings: Settings, clean_stores: None, tmp_path: Path
) -> None:
    """PostgreSQL stands still, one process is killed, one leaves; and the clients of the last one are gone for a while,
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
                async with clients(folder, urls) as process:
                    assert set(await line(process)) == CLIENTS
                    async with writing(settings) as ledger:
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
    """Items that are written one after the other, each with the next price, and what PostgreSQL has acknowledged."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record], server: psutil.Process) -> None:
        self._connection, self.server = connection, server
        self.written: list[int] = []
        self._stops = False
        self._task = asyncio.create_task(self._write())

    async def grow(self) -> None:
        """Return once some more have been written."""
        wanted = len(self.written) + 20
        while len(self.written) < wanted:
            assert not self._task.done(), self._task
            await anyio.sleep(0.01)

    async def end(self) -> None:
        """Write no more, but one item that says so."""
        await self.stop()
        await self._insert("The end", 0)

    async def stop(self) -> None:
        """Write no more."""
        self._stops = True
        await self._task

    async def _write(self) -> None:
        for price in count(1):
            if self._stops:
                return
            await self._insert("Silk", price)
            await anyio.sleep(0.01)

    async def _insert(self, name: str, price: int) -> None:
        statement = "INSERT INTO catalog.catalog_items (name, type, price) VALUES ($1, 'fabric', $2)"
        await self._connection.execute(statement, name, price)
        self.written.append(price)


@asynccontextmanager
async def writing(settings: Settings) -> AsyncIterator[Ledger]:
    connection = await asyncpg.connect(settings.postgres_url)
    server = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()")).parent()
    ledger = Ledger(connection, server)
    try:
        yield ledger
    finally:
        await ledger.stop()
        await connection.close()


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
