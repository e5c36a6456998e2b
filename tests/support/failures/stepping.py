"""Cancelling a coroutine wherever it waits: one run for each place, so that none is left to chance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import Any, Final

import anyio

PATIENCE: Final = 30.0
"""Seconds until a test fails that waits for something."""


async def until(condition: Callable[[], Any], what: str = "it never came about") -> None:
    """Return once the condition is true."""
    try:
        with anyio.fail_after(PATIENCE):
            while not condition():
                await anyio.lowlevel.checkpoint()
    except TimeoutError:
        raise AssertionError(what) from None


Waited = asyncio.Future[Any] | None


class Stepped(Coroutine[Any, Any, Any]):
    """A coroutine that tells of each place where it waits.

    `waits(number, future)` is called when it begins to wait for the nth time; the future is what it waits for, None
    where it only lets others run.
    """

    def __init__(self, work: Coroutine[Any, Any, Any], waits: Callable[[int, Waited], None]) -> None:
        self._work = work
        self._waits = waits
        self._number = 0

    def send(self, value: Any) -> Any:
        return self._told(self._work.send(value))

    def throw(self, *error: Any) -> Any:
        return self._told(self._work.throw(*error))

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise NotImplementedError

    def _told(self, future: Any) -> Any:
        self._number += 1
        self._waits(self._number, future)
        return future


class Cancellation:
    """When to cancel: at the `first` wait, and at the `second` one after it where that is given.

    `late` is when what was waited for has just come, and the coroutine has not gone on yet. `reached` says how many of
    the places there were.
    """

    def __init__(self, first: int, second: int | None = None, *, late: bool = False) -> None:
        self.reached = 0
        self._places = [first] if second is None else [first, first + second]
        self._late = late

    def waits(self, task: asyncio.Task[Any], number: int, future: Waited) -> None:
        if number not in self._places:
            return
        self.reached += 1
        if self._late and future is not None and not future.done():
            future.add_done_callback(lambda _: task.cancel())
        else:
            task.cancel()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of this work, which is cancelled as was asked for."""
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(
            Stepped(work, lambda number, future: self.waits(task, number, future))
        )
        return task


async def everywhere(run: Callable[[Cancellation], Coroutine[Any, Any, None]]) -> AsyncIterator[Cancellation]:
    """Runs that are cancelled at every wait, early and late, once and twice; each is yielded when it is over."""
    for late in (False, True):
        first = 1
        while True:
            once = Cancellation(first, late=late)
            await run(once)
            yield once
            if not once.reached:
                break
            second = 1
            while True:
                twice = Cancellation(first, second, late=late)
                await run(twice)
                yield twice
                if twice.reached < 2:
                    break
                second += 1
            first += 1
