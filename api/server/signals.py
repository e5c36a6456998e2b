"""What SIGTERM and SIGINT do: the process ends through its `finally` blocks. A second one is ignored, as what they do
takes a limited time and must not be interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Final, NoReturn

_ENDING: Final = (signal.SIGTERM, signal.SIGINT)


def exit_on_signals() -> None:
    """Leave with code 0, wherever the process is.

    For one that uvicorn runs: it handles the signals while it serves and drains; then it raises them again, which ends
    up here.
    """

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        _ignore()
        raise SystemExit(0)

    for each in _ENDING:
        signal.signal(each, leave)


@contextlib.contextmanager
def cancelled_by_signals(code: int | None = None) -> Iterator[None]:
    """Leave the block by SystemExit with this code, else the one that a shell knows such an end by: 128 and the number.

    What an event loop runs is cancelled. An exception in the middle of it may come up in a driver's compiled code,
    which doesn't expect one there: asyncpg crashes the process, and then nothing is tidied up.
    """
    received: list[int] = []

    def leave(number: int, frame: FrameType | None) -> None:
        _ignore()
        received.append(number)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise SystemExit(_code(number, code)) from None
        loop.call_soon_threadsafe(_cancel, loop)

    for each in _ENDING:
        signal.signal(each, leave)
    try:
        yield
    except asyncio.CancelledError:
        if not received:
            raise
        raise SystemExit(_code(received[0], code)) from None


def _cancel(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


def _code(number: int, code: int | None) -> int:
    return 128 + number if code is None else code


def _ignore() -> None:
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
