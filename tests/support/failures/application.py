"""A process that serves while a test kills and freezes stores, and what it says of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import anyio
import httpx

from api.config.settings import Settings
from tests.support.servers import Server, environment, serving

STORES: Final = ("PostgreSQL", "MongoDB")
PATIENCE: Final = 60.0
"""Seconds that the application has for each of its reactions, on a busy machine."""


class Application:
    """A `serve` process. Its address is in `url`, a list of one, since it changes."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._process: contextlib.AbstractContextManager[Server] | None = None
        self._server: Server | None = None
        self._earlier: list[str] = []
        self.url = [""]

    async def start(self) -> None:
        variables = environment(self._settings)
        self._process = serving("serve", "--port", "0", folder=self._folder, variables=variables)
        self._server = await asyncio.to_thread(self._process.__enter__)
        self.url[0] = self._server.url

    async def stop(self) -> None:
        if self._process is not None:
            await asyncio.to_thread(self._process.__exit__, None, None, None)
            self._process = None

    async def kill_and_restart(self) -> None:
        assert self._server is not None
        self._server.process.kill()
        self._earlier = self.breakers()  # its log is begun anew
        await self.stop()
        await self.start()

    async def checks(self) -> dict[str, Any]:
        """What `/health/database` says of each store; asking is a request like others."""
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            checks = (await client.get(f"{self.url[0]}/health/database")).json()["checks"]
            return {"PostgreSQL": checks["postgres"], "MongoDB": checks["mongodb"]}

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The checks that meet the condition."""
        with anyio.fail_after(PATIENCE):
            while not condition(checks := await self.checks()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return checks

    def breakers(self) -> list[str]:
        """The logs' lines of breakers, without their times; those of processes that were killed come first."""
        assert self._server is not None
        return self._earlier + [
            f"{'cut off' if 'store cut off' in line else 'back'}: {store}"
            for line in self._server.text().splitlines()
            for store in STORES
            if ("store cut off" in line or "store back" in line) and store in line
        ]

    def bugs(self) -> list[str]:
        """The last line of each traceback in the log of the process that serves now: what an INTERNAL error was."""
        assert self._server is not None
        lines = self._server.text().splitlines()
        ends = [number for number, line in enumerate(lines) if line[:1] not in (" ", "") and ": " in line]
        return [lines[number] for number in ends if lines[number - 1][:1] == " "]
