"""A store that answers each read when a test says so, and readers of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from api.log import current_cost
from api.stores.coalescing import AT_ONCE, Coalescer


class Store:
    """Answers each read when it is told to, by the text of its keys; `sent` are the reads so far."""

    def __init__(self) -> None:
        self.sent: list[list[Any]] = []
        self.cancelled: list[list[Any]] = []
        self.bad: dict[Any, Exception] = {}
        self._answers: list[asyncio.Future[None]] = []
        self._another = asyncio.Event()

    async def has_sent(self, number: int) -> None:
        """Wait for so many reads."""
        async with asyncio.timeout(5):
            while len(self.sent) < number:
                await self._another.wait()
                self._another.clear()

    async def read(self, keys: Sequence[Any]) -> Sequence[str]:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent.append(list(keys))
        self._answers.append(answer)
        self._another.set()
        if (cost := current_cost.get()) is not None:
            cost.sql += 1
        try:
            await answer
        except asyncio.CancelledError:
            self.cancelled.append(list(keys))
            raise
        for key in keys:
            if key in self.bad:
                raise self.bad[key]
        return [str(key) for key in keys]

    async def answer(self, *numbers: int) -> None:
        """Let these reads return, and everybody who waits for them go on."""
        for number in numbers:
            self._answers[number].set_result(None)
        await turns()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def reader(
    coalescer: Coalescer, store: Store, *keys: Any, kind: str = "k", size: int = 1
) -> asyncio.Task[Sequence[Any]]:
    return asyncio.create_task(coalescer.read(kind, keys, store.read, size))


async def busy(coalescer: Coalescer, store: Store) -> list[asyncio.Task[Sequence[Any]]]:
    """Readers for whom the next ones have to wait."""
    tasks = [reader(coalescer, store, number) for number in range(AT_ONCE)]
    await turns()
    return tasks
