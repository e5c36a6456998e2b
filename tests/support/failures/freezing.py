"""Processes that stand still: their sockets stay open, and the kernel goes on accepting connections for them."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from tests.support.servers import wait_until

_STILL = ("T", "t", "Z", "X")
"""States of threads that run no more."""


def freeze(pid: int) -> list[int]:
    """Stop it and its children. Returns once none of their threads runs, with what has stopped.

    The signal alone isn't enough: a thread on another processor may answer one more request meanwhile.
    """
    server = psutil.Process(pid)
    stopped = [pid, *(child.pid for child in server.children(recursive=True))]
    for each in stopped:
        _send(each, signal.SIGSTOP)
    wait_until(lambda: all(map(_stands_still, stopped)), "every thread stands still")
    return stopped


def thaw(stopped: list[int]) -> None:
    """Let them go on, the last one first."""
    for each in reversed(stopped):
        _send(each, signal.SIGCONT)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _stands_still(pid: int) -> bool:
    """True where there is no `/proc` to look at, too."""
    for file in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if file.read_text().rpartition(")")[2].split()[0] not in _STILL:
                return False
    return True
