"""Turns of the event loop for steps that take long: one such step in each round of the loop, whichever request it is
of."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

LARGE: Final = 100
"""The number of values (objects, list items, texts, numbers) in variables from which coercing them takes long."""


class Turns:
    """A queue for turns. In each round of the loop one waiter goes on; everything else in the process runs in
    between."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def take(self) -> None:
        """Wait for a turn. What the caller does until its next await is one step of the loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._waiting.clear()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            loop.call_soon(self._next, loop)
        await turn

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            return
        turn = self._waiting[0]
        if not turn.done():  # it may be cancelled
            turn.set_result(None)
        loop.call_soon(self._end, loop)

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        """The waiter that got a turn has taken it by now."""
        if loop is not self._loop:
            return
        self._waiting.popleft()
        if self._waiting:
            loop.call_soon(self._next, loop)


def is_large(values: Iterable[Any]) -> bool:
    """Whether these variables have many values. They are only counted as far as needed."""
    pending = [value for value in values if isinstance(value, (dict, list))]
    count = 0
    while pending and count <= LARGE:
        value = pending.pop()
        count += len(value)
        parts = value.values() if isinstance(value, dict) else value
        pending.extend([part for part in parts if isinstance(part, (dict, list))])
    return count > LARGE
