"""The awaitables that an operation waits for. No task is made for waiting: each calls back when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from api.execution.errors import Failure


class Awaitables:
    """Awaitables that have been started, each with a callback for its result. A callback may start more of them."""

    def __init__(self) -> None:
        self._pending: dict[asyncio.Future[Any], None] = {}  # in the order in which they were started
        self._waiter: asyncio.Future[None] | None = None
        self._broken: BaseException | None = None

    def start(self, awaitable: Awaitable[Any], then: Callable[[Any], None]) -> None:
        """Start the awaitable, and call `then` with its result, or with the Failure that it ended in."""
        try:
            future = asyncio.ensure_future(awaitable)
        except TypeError as error:  # it only looks like an awaitable
            then(Failure(error))
            return
        self._pending[future] = None
        future.add_done_callback(partial(self._done, then))

    def start_all(self, awaitables: Sequence[Awaitable[Any]], then: Callable[[list[Any]], None]) -> None:
        """Start all, and call `then` once the last is done, with the results or Failures in the order of the
        awaitables."""
        if len(awaitables) == 1:
            self.start(awaitables[0], lambda result: then([result]))
            return
        results: list[Any] = [None] * len(awaitables)
        missing = len(awaitables)

        def arrived(index: int, result: Any) -> None:
            nonlocal missing
            results[index] = result
            missing -= 1
            if not missing:
                then(results)

        for index, awaitable in enumerate(awaitables):
            self.start(awaitable, partial(arrived, index))

    async def finish(self) -> None:
        """Wait until all of them are done. When this is cancelled, it cancels those that are left and waits for them.

        Raises only what isn't the error of a field: a cancellation that came from within, or a bug of the executor.
        """
        try:
            while self._pending and self._broken is None:
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
        finally:
            await self.stop()
        if self._broken is not None:
            raise self._broken

    def _done(self, then: Callable[[Any], None], future: asyncio.Future[Any]) -> None:
        self._pending.pop(future, None)
        try:
            if self._broken is None:
                then(_result(future))
        except BaseException as error:
            self._broken = error
        waiter = self._waiter
        if waiter is not None and not waiter.done() and (not self._pending or self._broken is not None):
            waiter.set_result(None)

    async def stop(self) -> None:
        """Cancel the awaitables that are left, and wait for their end."""
        if not self._pending:
            return
        self._broken = self._broken or asyncio.CancelledError()
        left = list(self._pending)
        for future in left:
            future.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _result(future: asyncio.Future[Any]) -> Any:
    try:
        return future.result()
    except Exception as error:
        return Failure(error)
