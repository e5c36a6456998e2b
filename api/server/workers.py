"""Several processes that serve on one socket: a supervisor, and workers that are forked from it."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
from importlib import import_module
from multiprocessing import get_context
from typing import Any, Final

from uvicorn import Config
from uvicorn.supervisors import multiprocess

from api.config.settings import load_settings
from api.log import drain_log, logger, rest_log
from api.metrics.families import DIED
from api.metrics.memory import Memory, adopt
from api.server.draining import DrainingServer

_IMPORTED: Final = (
    *("api.http.application", "api.http.monitoring.metrics", "api.metrics.measuring"),
    *("uvicorn.lifespan.on", "uvicorn.loops.uvloop"),
)
"""What a worker needs and takes seconds to import: the supervisor does it once for all."""
_GLANCE: Final = 0.1
_AFTER_DRAIN: Final = 7.0
"""Seconds that a worker gets to send its last spans and close its stores after its requests are done or cancelled."""


def can_fork() -> bool:
    """Whether this process may be copied: no other thread runs in it, whose locks nobody would open in the copy."""
    rest_log()
    return sys.platform == "linux" and threading.active_count() == 1


class Worker(multiprocess.Process):
    """uvicorn's worker process, with our server: a copy of the supervisor, or else a process that imports anew."""

    memory: Memory | None = None
    """What the workers of this supervisor count in, where metrics are asked for."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        self.slot = None if self.memory is None else self.memory.claim()
        self._counts_in = self.memory
        super().__init__(config, sockets)
        self._sockets = sockets

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, in the process of the worker."""
        if self._counts_in is not None and self.slot is not None:
            adopt(self._counts_in, self.slot)
        # before there is a second thread: each would make a server, and the supervisor be told of the one that never
        # runs, which it takes for a worker that doesn't start
        self._server = DrainingServer(self.config)
        super().target(sockets)

    def start(self) -> None:
        if not can_fork():
            super().start()
            return
        # signals wait until the copy no longer takes them for the supervisor's
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, multiprocess.SIGNALS)
        try:
            process: Any = get_context("fork").Process(target=self._serve, args=(mask,))
            process.start()
            self.process = process
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def join(self) -> None:
        """Wait until it has drained, and kill it where that takes too long: its supervisor has others to look after."""
        self.process.join(load_settings().shutdown_timeout + _AFTER_DRAIN)
        if self.process.is_alive():
            logger.error("worker killed, it did not stop in time", pid=self.pid)
            self.process.kill()
            self.process.join()

    def _serve(self, mask: set[signal.Signals]) -> None:
        for number in multiprocess.SIGNALS:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                self.target(self._sockets)
        finally:
            drain_log()


multiprocess.Process = Worker  # type: ignore[misc]  # the supervisor has no other way to be told


class Workers(multiprocess.Multiprocess):
    """uvicorn's supervisor, which closes its copy of the socket first, and doesn't wait for workers for ever.

    `announcer` is started after the workers, as it is a thread.
    """

    def __init__(
        self, config: Config, sockets: list[socket.socket], announcer: threading.Thread, memory: Memory | None
    ) -> None:
        super().__init__(config, sockets)
        self._announcer = announcer
        Worker.memory = memory
        self._slot = None if memory is None else memory.slot(0)

    def init_processes(self) -> None:
        for name in _IMPORTED:
            import_module(name)
        if self._slot is not None:
            self._slot.begin()
            self._slot.series(DIED)  # shown from the start
        gc.collect()
        gc.freeze()  # a worker's collections needn't look at it, and leave it shared
        super().init_processes()
        self._announcer.start()

    def handle_int(self) -> None:
        logger.info("stopping", pid=os.getpid(), signal="SIGINT", workers=len(self.processes))
        super().handle_int()

    def handle_term(self) -> None:
        logger.info("stopping", pid=os.getpid(), signal="SIGTERM", workers=len(self.processes))
        super().handle_term()

    def keep_subprocess_alive(self) -> None:
        """Called twice a second: replaces workers that have died or been silent for long."""
        before = list(self.processes)
        super().keep_subprocess_alive()
        for old in before:
            if old.exitcode is not None:
                logger.error("worker died", pid=old.pid, exit_code=old.exitcode)
                if self._slot is not None:
                    self._slot.cells[self._slot.series(DIED)] += 1
        self._release_slots()

    def _release_slots(self) -> None:
        """Let go of the slots of workers that are no more, however they have ended."""
        memory = Worker.memory
        if memory is not None:
            taken = {each.slot for each in self.processes if isinstance(each, Worker) and each.slot is not None}
            for number in memory.claimed - taken:
                memory.release(number)

    def terminate_all(self) -> None:
        self.signal_queue.clear()  # any signal from now on is a second one
        for listener in self.sockets:
            listener.close()
        super().terminate_all()

    def join_all(self) -> None:
        """Wait for the workers to drain. A second signal is passed on to them, since only this process gets it."""
        deadline = time.monotonic() + load_settings().shutdown_timeout + _AFTER_DRAIN
        while (alive := [each for each in self.processes if each.process.is_alive()]) and time.monotonic() < deadline:
            alive[0].process.join(_GLANCE)
            if self.signal_queue:  # sent repeatedly, since a slow worker may see two signals as one
                for worker in alive:
                    worker.process.terminate()
        for worker in self.processes:
            if worker.process.is_alive():
                logger.error("worker killed, it did not stop in time", pid=worker.pid)
                worker.process.kill()
            worker.process.join()
        logger.info("stopped", pid=os.getpid(), workers=len(self.processes))
