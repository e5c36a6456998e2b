"""Runs the command line under a sampling profiler, which interrupts it every few milliseconds of CPU time that
it uses (1, or what the kernel's clock gives).

    python -m tests.benchmarks.sampled serve --port 8000      (PROFILE names the file that is written at the end)

Unlike cProfile it costs little and the same everywhere: a function is not dearer for being called often.
"""

from __future__ import annotations

import collections
import os
import signal
from pathlib import Path
from types import FrameType

import orjson

from api.commands.main import app

INTERVAL = 0.001
DEPTH = 12
"""Frames of a stack that are kept, from the innermost."""

_stacks: collections.Counter[tuple[tuple[str, str], ...]] = collections.Counter()


def _sample(_number: int, frame: FrameType | None) -> None:
    stack: list[tuple[str, str]] = []
    while frame is not None and len(stack) < DEPTH:
        stack.append((frame.f_code.co_filename, frame.f_code.co_qualname))
        frame = frame.f_back
    _stacks[tuple(stack)] += 1


def main() -> None:
    signal.signal(signal.SIGPROF, _sample)
    signal.signal(signal.SIGUSR1, lambda *_: _stacks.clear())  # what came before was starting and warming up
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    try:
        app()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        Path(os.environ["PROFILE"]).write_bytes(orjson.dumps([(list(stack), n) for stack, n in _stacks.items()]))


if __name__ == "__main__":
    main()
