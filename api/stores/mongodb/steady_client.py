"""A MongoDB client for long-running processes: cancelled requests don't harm its pool, and closing never hangs.

A cancellation that reaches the driver while it waits for a connection can make the whole pool unusable. On Python 3.11,
its `asyncio.wait_for(condition.wait())` runs in a task that takes the pool's lock again before it ends. If the waiting
command is cancelled a second time (the driver's own deadline is one cancellation), it leaves, and that task takes the
lock and never releases it. Newer Pythons have no such task, but two cancellations in a row still lose connections. So
each command runs in a task of its own, which only the driver's deadline ends; its caller may leave at any time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pymongo import _csot
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.asynchronous.topology import Topology
from pymongo.errors import AutoReconnect, OperationFailure
from pymongo.lock import _async_create_lock

from api.log import CommandCounter, logger
from api.stores.breakers.line import Line
from documents.decoding import Codec
from documents.reading import ReadingClient

if TYPE_CHECKING:
    from api.stores.mongodb.direct_reads import DirectRead, DirectReads

T = TypeVar("T")

Around = Callable[["DirectRead", Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Called in place of `run_directly`, with the command that is read by."""

CLOSING: Final = 2.0
"""Seconds that a client gets to close: closing waits for locks of the driver, and for servers."""
_MOMENT: Final = 0.5
"""Seconds that somebody gets to release a lock."""


class _Command:
    """A running command. Its task runs the driver; `answer` is what the caller waits for."""

    __slots__ = ("_client", "_left", "_on_connection", "_run", "_task", "answer", "deadline")

    def __init__(self, client: SteadyClient, run: Callable[..., Awaitable[Any]], deadline: float) -> None:
        self.deadline = deadline
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._client, self._run = client, run
        self._left = self._on_connection = False
        self._task: asyncio.Task[Any] | None = None

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Start the driver's `work`. It calls `on_connection` once it has a connection, and again for each retry."""
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(self._ended)

    async def on_connection(self, *args: Any) -> Any:
        """Run the command on a connection, after the driver has waited for one and before it gives it back."""
        self._client.starved_since = None
        self._client.line.served(self, time.monotonic())
        if self._left:
            raise asyncio.CancelledError  # nothing has been sent, so the connection stays usable
        self._on_connection = True
        try:
            return await self._run(*args)
        finally:
            self._on_connection = False

    def leave(self) -> None:
        """The caller has left, so the server needn't go on working.

        This is the only cancellation that a command gets, and the driver holds no lock when it gets it.
        """
        self._left = True
        if self._on_connection:
            assert self._task is not None
            self._task.cancel()

    def is_working(self, now: float) -> bool:
        """Whether the command has a connection, and time left."""
        return self._on_connection and now < self.deadline

    def give_up(self) -> bool:
        """Fail the command as if the connection was lost, and never send it. Returns whether a caller was waiting."""
        if self.answer.done():
            return False
        self._left = True
        self.answer.set_exception(AutoReconnect("the connection pool has hung"))
        return True

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._client.commands.discard(self)
        self._client.line.leave(self)
        answer = self.answer
        if answer.done():  # the caller has left
            if not task.cancelled():
                task.exception()  # asyncio logs exceptions that nobody retrieved
        elif task.cancelled():
            answer.cancel()
        elif (error := task.exception()) is not None:
            answer.set_exception(error)
        else:
            answer.set_result(task.result())


class SteadyClient(ReadingClient):
    """A client that runs each command (also later batches of cursors) in a task of its own.

    `commands` are the running ones; their callers may have left. `starved_since` is the moment since when commands have
    been waiting for a connection without getting one; None while they get some. `line` are
    those who wait for one. `direct` is the short way of reads; None where there is only the driver's.
    """

    def __init__(self, uri: str, **options: Any) -> None:
        self.commands: set[_Command] = set()
        self.line = Line()
        self.starved_since: float | None = None
        self._apart: set[asyncio.Task[Any]] = set()
        self._run_read: Around = self.run_directly
        super().__init__(uri, **options)
        self.direct = _direct_reads(self, options)

    async def run_read(
        self, database: AsyncDatabase[dict[str, Any]], command: MutableMapping[str, Any], codec: Codec
    ) -> dict[str, Any]:
        if self.direct is not None:
            read = self.direct.begin(database.name, command, database.read_preference, codec)
            if read is not None:
                try:
                    return await self._run_read(read, command)
                except OperationFailure as error:
                    if not error.has_error_label("SystemOverloadedError"):
                        raise  # else the driver asks again, after a while
        return await super().run_read(database, command, codec)

    async def run_directly(self, read: DirectRead, _: object = None) -> dict[str, Any]:
        """The reply of a read that has a connection. Raises what the driver raises."""
        return await read.run()

    def observe(self, around: Around | None) -> None:
        """Have direct reads run by `around` from now on; None: as they are."""
        self._run_read = self.run_directly if around is None else around

    def left_to_server(self, left: float, round_trip: float) -> float:
        """The seconds that the server gets for a command that has so many left."""
        return left - round_trip

    async def _retry_internal(self, func: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        # all commands of the driver go through this private method, and there is no public one
        command = _Command(self, func, self._deadline())
        now = time.monotonic()
        if self.starved_since is None:
            self.starved_since = now
        self.commands.add(command)
        self.line.enter(command, now)
        command.start(super()._retry_internal(command.on_connection, *args, **kwargs))
        try:
            return await command.answer
        except asyncio.CancelledError:
            command.leave()
            raise

    async def _kill_cursors(self, *args: Any, **kwargs: Any) -> None:
        # the driver sends this for a cursor that is closed early
        await asyncio.shield(self.run_apart(super()._kill_cursors(*args, **kwargs)))

    def is_starved(self, limit: float) -> bool:
        """Whether no command has got a connection for so many seconds, although none is in use."""
        now = time.monotonic()
        if self.starved_since is None or now - self.starved_since <= limit:
            return False
        if self.direct is not None and self.direct.takes_all(now):
            return False
        return not any(command.is_working(now) for command in self.commands)

    def renew(self) -> int:
        """Go on with new connections and monitors. Commands that waited for the old ones get AutoReconnect; returns how
        many."""
        hung, monitor = self._topology, self._kill_cursors_executor
        self._init_background()  # as the driver does in a forked process
        self._lock = _async_create_lock()
        self.starved_since = None
        monitor.close()
        self.run_apart(_abandon(hung))
        return sum([command.give_up() for command in list(self.commands)])

    async def close(self) -> None:
        """Close the client. Gives up after `CLOSING` seconds."""
        closing = self.run_apart(super().close())
        await asyncio.wait({closing}, timeout=CLOSING)
        if closing.done():
            closing.result()
        else:
            logger.error("store's client does not close", store="MongoDB", seconds=CLOSING)

    def _deadline(self) -> float:
        """When the driver will have ended a command that begins now."""
        if _csot.get_timeout() is None and self._timeout is not None:
            return time.monotonic() + self._timeout
        return _csot.get_deadline()

    def run_apart(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do this in a task that is nobody's."""
        task = asyncio.get_running_loop().create_task(work)
        self._apart.add(task)  # asyncio only keeps a weak reference to tasks
        task.add_done_callback(self._apart.discard)
        return task


def _direct_reads(client: SteadyClient, options: dict[str, Any]) -> DirectReads | None:
    if not _is_driver_known() or any(type(each) is not CommandCounter for each in options.get("event_listeners") or ()):
        return None
    from api.stores.mongodb.direct_reads import DirectReads

    return DirectReads.of(client)


@cache
def _is_driver_known() -> bool:
    """Whether direct reads fit the installed driver. They take much from it that isn't public, and may not even
    import."""
    try:
        from api.stores.mongodb.direct_reads import missing

        lacking = missing()
    except (ImportError, AttributeError) as error:
        lacking = [str(error)]
    if lacking:
        logger.warning("MongoDB's driver is another one, so reads take its own way, which is longer", lacking=lacking)
    return not lacking


async def _abandon(topology: Topology) -> None:
    """Close a topology that hangs. Locks whose owner is gone are released, so that the tasks waiting for them end.

    The topology's lock may have an owner, who waits for one of the others: that gets a moment to go on.
    """
    for server in topology._servers.values():
        if server.pool.lock.locked():
            server.pool.lock.release()
    try:
        async with asyncio.timeout(_MOMENT), topology._lock:
            pass
    except TimeoutError:
        topology._lock.release()
    await topology.close()
    await topology.cleanup_monitors()
