"""Clients of others that follow changes while the processes that serve them come and go."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import anyio
import pytest

from api.config.settings import Settings
from api.stores.stores import Stores
from tests.support.factories.catalog import create_catalog_item
from tests.support.requests.npm import node_folder
from tests.support.servers import environment, serving

pytestmark = pytest.mark.anyio

PACKAGES: Final = ("graphql-ws@6.0.6", "graphql-sse@2.5.4", "graphql@16.11.0", "ws@8.18.3")
WRITES: Final = 60


async def test_what_clients_receive_is_what_was_written_though_processes_end(
    settings: Settings, stores: Stores, tmp_path: Path
) -> None:
    """One process is killed, one leaves, and the third one has to go on where they were."""
    folder = node_folder(tmp_path, Path(__file__).with_name("following_clients.mjs"), *PACKAGES)
    with ExitStack() as stack:
        servers = []
        for name in ("killed", "leaving", "staying"):
            (tmp_path / name).mkdir()
            servers.append(
                stack.enter_context(serving("serve", folder=tmp_path / name, variables=environment(settings)))
            )
        urls = [f"{server.url}/graphql" for server in servers]
        process = await asyncio.create_subprocess_exec(
            *("node", "following_clients.mjs", str(WRITES), *urls),
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            with anyio.fail_after(120):
                started = {(await _line(process))["started"] for _ in range(2)}
                assert started == {"graphql-ws", "graphql-sse"}
                for price in range(1, WRITES + 1):
                    await create_catalog_item(stores, price=price)
                    if price == WRITES // 3:
                        servers[0].process.send_signal(signal.SIGKILL)
                    elif price == 2 * WRITES // 3:
                        servers[1].process.send_signal(signal.SIGTERM)
                    await anyio.sleep(0.01)
                received = await _line(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    written = list(range(1, WRITES + 1))
    assert received == {"graphql-ws": written, "graphql-sse": written}


async def _line(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    assert process.stderr is not None
    line = await process.stdout.readline()
    assert line, (await process.stderr.read()).decode()
    return json.loads(line)
