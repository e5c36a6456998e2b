"""MongoDB's client, for a process that lives long: nobody cancels into the driver, what hangs there all the same is
left behind, and closing has an end.

A cancellation that meets the driver while it waits for a connection can cost the whole pool. On Python 3.11 its
`asyncio.wait_for(condition.wait())` is a task of its own, which takes the pool's lock back before it ends. Cancelled
once more meanwhile (and the driver's own deadline is once), whoever waited leaves, and that task takes the lock for
nobody. Newer Pythons have no such task, but two cancellations in a row still lose connections there. So a command runs
in a task that only the driver's deadline ends, and who asked for it may leave.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from pymongo import AsyncMongoClient, _csot
from pymongo.asynchronous.topology import Topology
from pymongo.errors import AutoReconnect
from pymongo.lock import _async_create_lock

from api.log import logger

CLOSING: Final = 2.0
"""Seconds that a client gets to close; it waits for locks of the driver's, and for servers."""


class _Command:
    """A command under way. Its task is the driver's; `answer` is for whoever asked."""

    __slots__ = ("_client", "_left", "_on_connection", "_run", "_task", "answer", "deadline")

    def __init__(self, client: SteadyClient, run: Callable[..., Awaitable[Any]], deadline: float) -> None:
        self.deadline = deadline
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._client, self._run = client, run
        self._left = self._on_connection = False
        self._task: asyncio.Task[Any] | None = None

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begin. `work` is the driver's, and calls `on_connection` once it has one, again where it tries again."""
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(self._ended)

    async def on_connection(self, *args: Any) -> Any:
        """What is done with a connection, between the driver's waiting for it and its giving it back."""
        self._client.starved_since = None
        if self._left:
            raise asyncio.CancelledError  # nothing has been sent: the connection stays as good as it is
        self._on_connection = True
        try:
            return await self._run(*args)
        finally:
            self._on_connection = False

    def leave(self) -> None:
        """Nobody waits for the answer any more, nor does the server have to go on working for it.

        That is the one cancellation that a command gets, and it meets the driver where it holds no lock.
        """
        self._left = True
        if self._on_connection:
            assert self._task is not None
            self._task.cancel()

    def is_working(self, now: float) -> bool:
        """Whether it has a connection, and time left."""
        return self._on_connection and now < self.deadline

    def give_up(self) -> bool:
        """Fail it as on a lost connection, and never send it. True where somebody has waited for it."""
        if self.answer.done():
            return False
        self._left = True
        self.answer.set_exception(AutoReconnect("the connection pool has hung"))
        return True

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._client.commands.discard(self)
        answer = self.answer
        if answer.done():  # who asked has left
            if not task.cancelled():
                task.exception()  # asyncio complains of exceptions that nobody looked at
        elif task.cancelled():
            answer.cancel()
        elif (error := task.exception()) is not None:
            answer.set_exception(error)
        else:
            answer.set_result(task.result())


class SteadyClient(AsyncMongoClient[dict[str, Any]]):
    """A client whose commands, cursors' later batches included, are tasks of their own.

    `commands` are under way, their askers may have left. `starved_since` is the moment since which commands wait for a
    connection and none is handed out; None while they are.
    """

    def __init__(self, uri: str, **options: Any) -> None:
        self.commands: set[_Command] = set()
        self.starved_since: float | None = None
        self._apart: set[asyncio.Task[None]] = set()
        super().__init__(uri, **options)

    async def _retry_internal(self, func: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        # every command of the driver's goes through here, and nothing public does
        command = _Command(self, func, self._deadline())
        if self.starved_since is None:
            self.starved_since = time.monotonic()
        self.commands.add(command)
        command.start(super()._retry_internal(command.on_connection, *args, **kwargs))
        try:
            return await command.answer
        except asyncio.CancelledError:
            command.leave()
            raise

    async def _kill_cursors(self, *args: Any, **kwargs: Any) -> None:
        # and this is what the driver sends beside them, for a cursor that is closed early
        await asyncio.shield(self._run_apart(super()._kill_cursors(*args, **kwargs)))

    def is_starved(self, limit: float) -> bool:
        """Whether no command has got a connection for so many seconds, though none of them is in use."""
        now = time.monotonic()
        if self.starved_since is None or now - self.starved_since <= limit:
            return False
        return not any(command.is_working(now) for command in self.commands)

    def renew(self) -> int:
        """Go on with new connections and monitors; how many have waited for the old ones. They get AutoReconnect."""
        hung, monitor = self._topology, self._kill_cursors_executor
        self._init_background()  # as the driver does for a forked process
        self._lock = _async_create_lock()
        self.starved_since = None
        monitor.close()
        self._run_apart(_abandon(hung))
        return sum([command.give_up() for command in list(self.commands)])

    async def close(self) -> None:
        """Close, or leave it at that after `CLOSING` seconds."""
        closing = self._run_apart(super().close())
        await asyncio.wait({closing}, timeout=CLOSING)
        if closing.done():
            closing.result()
        else:
            logger.error("store's client does not close", store="MongoDB", seconds=CLOSING)

    def _deadline(self) -> float:
        """When the driver must have ended a command that begins now."""
        if _csot.get_timeout() is None and self._timeout is not None:
            return time.monotonic() + self._timeout
        return _csot.get_deadline()

    def _run_apart(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._apart.add(task)  # a task that nobody holds could vanish
        task.add_done_callback(self._apart.discard)
        return task


async def _abandon(topology: Topology) -> None:
    """Close a topology that hangs. Locks of which the owner has gone are released, so that who waits for them ends."""
    for lock in [topology._lock, *(server.pool.lock for server in topology._servers.values())]:
        if lock.locked():
            lock.release()
    await topology.close()
    await topology.cleanup_monitors()
