"""A Redis (or Valkey) of a test's own."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.failures.freezing import freeze
from tests.support.servers import wait_until

PROGRAM = shutil.which("valkey-server") or shutil.which("redis-server")


class RedisServer:
    """A process on a port of its own, which a restart keeps. Nothing is kept on the disk."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            self.port: int = bound.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert PROGRAM is not None
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            [PROGRAM, *arguments], cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._answers, "an answer of Redis")

    def signal(self, number: signal.Signals) -> None:
        """SIGKILL, SIGSTOP, SIGCONT."""
        if number is signal.SIGSTOP:
            freeze(self.process.pid)
        else:
            self.process.send_signal(number)
        if number is signal.SIGKILL:
            self.process.wait()

    def command(self, *words: str) -> bytes:
        """What it answers to a command."""
        with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            connection.sendall(" ".join(words).encode() + b"\r\n")
            return connection.recv(65536)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.command("PING") == b"+PONG\r\n"
        return False


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A server for the length of the block. Skips the test where none is installed."""
    if PROGRAM is None:
        pytest.skip("neither valkey-server nor redis-server is installed (Debian: apt-get install redis-server)")
    server = RedisServer(folder)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()
