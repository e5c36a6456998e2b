"""Graceful shutdown: a process first says that it leaves, goes on answering for a while, and then closes."""

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
from api.server.acceptor import Acceptor

_ENDING: Final = 1.0
"""Seconds that cancelled tasks get to end after everything else is closed."""
_CLOSE: Final = (b"connection", b"close")


class DrainingServer(Server):
    """uvicorn's server, which after SIGTERM goes on listening for SHUTDOWN_DELAY.

    After the signal, `/readyz` answers 503 and every response closes its connection, so that the load balancer turns to
    other instances before this one refuses connections. Then uvicorn closes idle ones and waits for running requests.
    A second signal, or Ctrl-C, skips the delay.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._closes_at: float | None = None
        self._signal: signal.Signals | None = None
        """A signal that isn't logged yet, since it may arrive while another line is being written."""
        self._metrics: Server | None = None
        self._acceptor: Acceptor | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """As in uvicorn, but the process also ends if a task ignores its cancellation."""
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
        """Listen on the first socket. A second one is METRICS_PORT's."""
        assert sockets is not None
        await super().startup(sockets[:1])
        self._acceptor = Acceptor(sockets[0], self._protocol)
        if sockets[1:]:
            await self._show_metrics(sockets[1:])
        garbage_collection.freeze(self._settings)
        logger.info("serving", pid=os.getpid(), version=metadata.version("fashion-wallet"))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        assert sockets is not None
        if self._acceptor is not None:
            self._acceptor.close()
        await super().shutdown(sockets[:1])
        if self._metrics is not None:  # as long as there is something to see
            await self._metrics.shutdown(sockets[1:])
        logger.info("stopped", pid=os.getpid())
        drain_log()  # the signal is raised again after this, and may end the process

    def _protocol(self) -> asyncio.Protocol:
        """One for a new connection, as uvicorn makes them."""
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # what it takes isn't declared
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def _show_metrics(self, sockets: list[socket.socket]) -> None:
        config = Config(self.config.loaded_app.state.metrics, lifespan="off", log_config=None, access_log=False)
        config.load()
        self._metrics = Server(config)
        self._metrics.lifespan = config.lifespan_class(config)
        await self._metrics.startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by a signal, possibly within a step of the event loop."""
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
            if cycle is not None and not cycle.response_started:  # its response would still have the old headers
                cycle.keep_alive = False

    def _close_connections(self) -> None:
        if _CLOSE not in self.server_state.default_headers:
            self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second; returning true ends the serving."""
        leaves = await super().on_tick(counter)  # makes the default headers anew, for their date
        if self._signal is not None:
            logger.info("stopping", pid=os.getpid(), signal=self._signal.name, delay=self._settings.drain_delay)
            self._signal = None
        if self._closes_at is None:
            return leaves
        self._close_connections()
        return leaves or time.monotonic() >= self._closes_at


async def _end_tasks() -> None:
    """Cancel all other tasks, and wait only for a moment."""
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
