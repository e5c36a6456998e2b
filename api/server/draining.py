"""How a process leaves: it says so first, answers what is asked meanwhile, and closes when nobody asks any more."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from importlib import metadata
from types import FrameType
from typing import Final

from uvicorn import Config, Server

from api.config.settings import Settings
from api.log import drain_log, logger
from api.server import garbage_collection

_ENDING: Final = 1.0
"""Seconds that cancelled tasks get to end, once everything has been closed."""
_CLOSE: Final = (b"connection", b"close")


class DrainingServer(Server):
    """uvicorn's server, which on SIGTERM goes on for SHUTDOWN_DELAY before it stops to listen.

    From the signal on `/readyz` says 503 and every response closes its connection, so that the balancer turns to
    other instances before this one refuses anybody. Then uvicorn closes what is idle and waits for what is running.
    A second signal, or Ctrl-C, skips the delay.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._closes_at: float | None = None
        self._signal: signal.Signals | None = None
        """The one that has come and is not logged yet: a signal may come in the middle of another line."""

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, but a task that goes on whatever cancels it is left behind, and the process ends."""
        loop = self.config.get_loop_factory()()  # type: ignore[misc]  # uvloop's
        try:
            loop.run_until_complete(self.serve(sockets))
        finally:
            try:
                loop.run_until_complete(_end_tasks())
            finally:
                loop.close()

    @property
    def _settings(self) -> Settings:
        settings: Settings = self.config.loaded_app.state.settings
        return settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        garbage_collection.freeze(self._settings)
        logger.info("serving", pid=os.getpid(), version=metadata.version("fashion-wallet"))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        logger.info("stopped", pid=os.getpid())
        drain_log()  # the signal is raised again after this, and may end the process

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by the signal, between two steps of the event loop or within one."""
        if not self.started or self._closes_at is not None:
            super().handle_exit(sig, frame)
            return
        self._signal = signal.Signals(sig)
        self.config.loaded_app.state.draining = True
        delay = 0 if sig == signal.SIGINT else self._settings.drain_delay
        self._closes_at = time.monotonic() + delay
        if not delay:
            super().handle_exit(sig, frame)
            return
        self._captured_signals.append(sig)
        self._close_connections()
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_started:  # it will be answered with the headers of before
                cycle.keep_alive = False

    def _close_connections(self) -> None:
        if _CLOSE not in self.server_state.default_headers:
            self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second; true ends the serving."""
        leaves = await super().on_tick(counter)  # makes the default headers anew, for their date
        if self._signal is not None:
            logger.info("stopping", pid=os.getpid(), signal=self._signal.name, delay=self._settings.drain_delay)
            self._signal = None
        if self._closes_at is None:
            return leaves
        self._close_connections()
        return leaves or time.monotonic() >= self._closes_at


async def _end_tasks() -> None:
    """Cancel every other task, and wait for a moment only."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        _, left = await asyncio.wait(others, timeout=_ENDING)
        if left:
            logger.error("tasks left behind", tasks=sorted({task.get_name() for task in left}))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ENDING):
            await asyncio.get_running_loop().shutdown_asyncgens()
