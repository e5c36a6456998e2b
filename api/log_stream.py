"""Standard error for the log: writing to it never waits for whoever reads it.

A pipe whose reader stalls (a log collector, a terminal on hold) blocks its writer. If that were the event loop, every
request would wait. So lines are only put into a queue, and a thread writes them, in batches. The queue is bounded: what
doesn't fit is lost, and a line says how many were, as soon as something fits again.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from typing import Final

CAPACITY: Final = 1024 * 1024
"""Bytes that wait for the reader at most."""
_PAUSE: Final = 0.01
"""Seconds between two batches, so that a busy process isn't interrupted for each of its lines."""


class LogStream:
    """A file that is written to in the background. `lost` makes the line that tells how many lines were."""

    def __init__(self, descriptor: int, lost: Callable[[int], bytes], capacity: int = CAPACITY) -> None:
        self._descriptor = descriptor
        self._lost_line = lost
        self._capacity = capacity
        self._lines: list[bytes] = []
        self._size = 0
        self._lost = 0
        self._sleeping = True
        self._ends = False
        self._writer: threading.Thread | None = None
        # reentrant: the garbage collector may log in the middle of a write
        self._lock = threading.RLock()
        self._awake = threading.Lock()
        self._awake.acquire()

    def write(self, text: bytes | str) -> int:
        """Queue whole lines. What doesn't fit is lost."""
        line = text.encode(errors="backslashreplace") if isinstance(text, str) else text
        with self._lock:
            if self._size + len(line) > self._capacity:
                self._lost += 1
                return len(text)
            self._lines.append(line)
            self._size += len(line)
            if self._sleeping:
                self._sleeping = False
                if self._writer is None:
                    self._writer = threading.Thread(target=self._write_on, name="log", daemon=True)
                    self._writer.start()
                self._awake.release()
        return len(text)

    def flush(self) -> None:
        """Nothing: see `drain`."""

    def drain(self, seconds: float) -> None:
        """Wait until everything is written, for so long at most. For the end of a process."""
        deadline = time.monotonic() + seconds
        while self._size and time.monotonic() < deadline:
            time.sleep(_PAUSE / 2)

    def rest(self, seconds: float) -> None:
        """Write everything and end the thread, if that takes no longer than this. The next line starts another."""
        deadline = time.monotonic() + seconds
        while not self._sleeping and time.monotonic() < deadline:
            time.sleep(_PAUSE / 2)
        with self._lock:
            if self._writer is not None and self._sleeping:
                self._ends = True
                self._awake.release()
                self._writer.join()
                self._writer, self._ends = None, False

    def _write_on(self) -> None:
        while True:
            self._awake.acquire()
            if self._ends:
                return
            while batch := self._batch():
                self._write_all(batch)
                with self._lock:
                    self._size -= len(batch)
                time.sleep(_PAUSE)

    def _batch(self) -> bytes:
        """What is queued; empty, and asleep from now on, where nothing is."""
        with self._lock:
            lines, self._lines = self._lines, []
            if self._lost:
                lines.append(self._lost_line(self._lost))
                self._size += len(lines[-1])
                self._lost = 0
            self._sleeping = not lines
        return b"".join(lines)

    def _write_all(self, batch: bytes) -> None:
        rest = memoryview(batch)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # somebody who shares it has made it so
                select.select([], [self._descriptor], [])
            except OSError:  # nobody reads any more
                return


class LineLogger:
    """structlog's logger over a stream: a line for each call, whichever its level."""

    def __init__(self, stream: LogStream) -> None:
        self._write = stream.write

    def msg(self, line: str | bytes) -> None:
        """Write the line."""
        self._write(line + b"\n" if isinstance(line, bytes) else f"{line}\n")

    debug = info = warning = error = critical = exception = log = failure = fatal = msg
