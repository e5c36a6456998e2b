"""Reads of MongoDB by the shortest way through the driver, where everything that they need is at hand.

For each command the driver makes a session, an object for retries, events, and four tasks, and takes a lock five times,
which is most of what a short read costs. Here an idle connection is taken, written to, waited for and given back, and
nothing but the reply is waited for. Where that can't be done (no idle connection, a server that is unknown or one of
several, others who wait for the pool), the driver's own way is left, which opens connections, looks for servers, waits
and retries.

Everything private of pymongo's that this needs is in this module. `missing` says what of it isn't there; with a driver
that is built in another way, all reads go the driver's own.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final

from pymongo import AsyncMongoClient, _csot, message
from pymongo.asynchronous.mongo_client import _ClientCheckout
from pymongo.asynchronous.pool import AsyncConnection, Pool
from pymongo.asynchronous.topology import Topology
from pymongo.errors import NotPrimaryError, OperationFailure, ProtocolError, PyMongoError, _OperationCancelled
from pymongo.helpers_shared import _check_command_response
from pymongo.message import _COMMAND_OVERHEAD, _UNPACK_REPLY
from pymongo.network_layer import PyMongoProtocol
from pymongo.pool_shared import PoolState, _CancellationContext
from pymongo.read_preferences import ReadPreference
from pymongo.topology_description import TOPOLOGY_TYPE, TopologyDescription

from api.log import CommandCounter

if TYPE_CHECKING:
    from api.stores.mongodb.steady_client import SteadyClient

_SIGNS_IN_AGAIN: Final = "MONGODB-OIDC"
_NEEDED: Final[Mapping[Any, tuple[str, ...]]] = {
    AsyncMongoClient: ("_topology", "_send_cluster_time", "_timeout"),
    Topology: ("_description", "_servers", "_settings", "_monitor_tasks", "_receive_cluster_time_no_lock"),
    TopologyDescription: ("apply_selector", "check_compatible", "topology_type"),
    Pool: (
        *("conns", "requests", "active_sockets", "operation_count", "active_contexts", "max_pool_size", "state"),
        *("lock", "size_cond", "_max_connecting_cond", "stale_generation", "_checkin_apply", "checkin"),
    ),
    AsyncConnection: (
        *("conn", "active", "closed", "generation", "service_id", "last_checkin_time", "opts", "cancel_context"),
        *("is_repl", "is_standalone", "compression_context", "max_bson_size", "max_message_size", "max_wire_version"),
        *("add_server_api", "_raise_connection_failure"),
    ),
    PyMongoProtocol: ("_pending_messages", "_done_messages", "transport", "read", "write"),
    _ClientCheckout: ("for_existing_conn", "handle"),
}
"""Names of the driver's, by class."""
_CALLED: Final[Mapping[Any, tuple[str, ...]]] = {
    message._op_msg: ("flags", "command", "dbname", "read_preference", "opts", "ctx"),
    Pool._checkin_apply: ("self", "conn", "txn", "cursor", "forked"),
    PyMongoProtocol.read: ("self", "request_id", "max_message_size"),
    PyMongoProtocol.write: ("self", "message"),
    _check_command_response: ("response", "max_wire_version"),
}
"""Their parameters; others must be optional."""


def missing() -> list[str]:
    """What the installed driver hasn't, or has in another form."""
    names = [
        f"{kind.__name__}.{name}" for kind, needed in _NEEDED.items() for name in needed if name not in _names_of(kind)
    ]
    return names + [
        f"{function.__qualname__}{inspect.signature(function)}"
        for function, parameters in _CALLED.items()
        if not _takes(function, parameters)
    ]


def _names_of(kind: type) -> set[str]:
    """The names of a class's attributes, and those that its methods use."""
    names: set[str] = set()
    for base in kind.__mro__:
        names.update(vars(base))
        for value in vars(base).values():
            code = getattr(inspect.unwrap(value) if callable(value) else value, "__code__", None)
            names.update(code.co_names if code is not None else ())
    return names


def _takes(function: Any, names: tuple[str, ...]) -> bool:
    parameters = list(inspect.signature(function).parameters.values())
    others = parameters[len(names) :]
    return [each.name for each in parameters[: len(names)]] == list(names) and all(
        each.default is not inspect.Parameter.empty for each in others
    )


class DirectReads:
    """The short way of one client. `under_way` are the reads that have a connection."""

    def __init__(self, client: SteadyClient) -> None:
        self.client: Any = client
        self.under_way: set[DirectRead] = set()
        self._description: Any = None
        self._preference: Any = None
        self._server: Any = None

    @classmethod
    def of(cls, client: SteadyClient) -> DirectReads | None:
        """None where connections may have to sign in again in the middle, which is left to the driver."""
        credentials = client.options.pool_options._credentials
        return None if credentials is not None and credentials.mechanism == _SIGNS_IN_AGAIN else cls(client)

    def begin(self, database: str, command: Mapping[str, Any], preference: Any, codec: Any) -> DirectRead | None:
        """A read that has taken a connection and must be run at once; None where the driver's own way is left."""
        topology = self.client._topology
        if topology._description is not self._description or preference is not self._preference:
            self._look(topology, preference)
        server = self._server
        if server is None or topology._monitor_tasks:  # those that have ended are cleared away by the driver
            return None
        pool = server.pool
        if not pool.conns or pool.requests >= pool.max_pool_size or not _is_free(pool):
            return None
        connection = pool.conns[0]
        if not _is_usable(pool, connection):
            return None
        left = self._left()
        asked = dict(command)
        connection.add_server_api(asked)
        self.client._send_cluster_time(asked, None)
        if left is None:
            left = connection.opts.socket_timeout
        else:
            asked["maxTimeMS"] = int(self.client.left_to_server(left, server.description.min_round_trip_time) * 1000)
            if asked["maxTimeMS"] <= 0:
                return None
        if self._description.topology_type == TOPOLOGY_TYPE.Single:
            # a server that was named is to answer, whatever it is in its replica set
            if connection.is_repl:
                preference = ReadPreference.PRIMARY_PREFERRED
            elif connection.is_standalone:
                preference = ReadPreference.PRIMARY
        number, data, size, _ = message._op_msg(
            0, asked, database, preference, codec, ctx=connection.compression_context
        )
        if size > connection.max_bson_size + _COMMAND_OVERHEAD:
            return None
        read = DirectRead(self, server, connection, number, data, codec, left)
        CommandCounter.count(asked)
        return read

    def takes_all(self, now: float) -> bool:
        """Whether others can have no connection because of reads that have time left."""
        pools = [read.pool for read in self.under_way if now < read.deadline]
        return any(pool.requests >= pool.max_pool_size for pool in pools)

    def _look(self, topology: Any, preference: Any) -> None:
        """Find the server that reads with this preference go to, unless the driver chooses among several."""
        description = topology._description
        self._description, self._preference, self._server = description, preference, None
        try:
            description.check_compatible()
            suitable = description.apply_selector(preference, None, custom_selector=topology._settings.server_selector)
        except PyMongoError:
            return  # the driver says why
        if len(suitable) == 1 and description.topology_type != TOPOLOGY_TYPE.LoadBalanced:
            self._server = topology._servers.get(suitable[0].address)

    def _left(self) -> float | None:
        """Seconds until the deadline of a command that begins now; None without one."""
        if _csot.get_timeout() is None:
            timeout: float | None = self.client._timeout
            return timeout
        return _csot.remaining()


def _is_free(pool: Any) -> bool:
    """Whether nobody is at a pool's accounts, or waits for a connection. Then they can be changed without a lock, as
    long as nothing is waited for meanwhile."""
    return (
        pool.state == PoolState.READY
        and not pool.lock.locked()
        and not pool.size_cond._waiters
        and not pool._max_connecting_cond._waiters
    )


def _is_usable(pool: Any, connection: Any) -> bool:
    """Whether the driver would take this idle connection, too."""
    longest, protocol = pool.opts.max_idle_time_seconds, connection.conn.get_conn
    return not (
        protocol.transport.is_closing()
        or protocol._pending_messages
        or protocol._done_messages
        or pool.stale_generation(connection.generation, connection.service_id)
        or (longest is not None and time.monotonic() - connection.last_checkin_time > longest)
    )


class _Interruption(_CancellationContext):
    """What the driver cancels to interrupt a connection's reader, which it otherwise asks twice a second."""

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self._protocol = protocol

    def cancel(self) -> None:
        super().cancel()
        _interrupt(self._protocol, _OperationCancelled("operation cancelled"))


def _interrupt(protocol: Any, error: Exception) -> None:
    for waiting in protocol._pending_messages:
        if not waiting.done():
            waiting.set_exception(error)


def _time_out(protocol: Any) -> None:
    _interrupt(protocol, TimeoutError("timed out"))


class DirectRead:
    """One read, from taking a connection to giving it back."""

    __slots__ = ("_codec", "_connection", "_data", "_left", "_number", "_reads", "_server", "deadline", "pool")

    def __init__(
        self, reads: DirectReads, server: Any, connection: Any, number: int, data: bytes, codec: Any, left: float | None
    ) -> None:
        self._reads, self._server, self._connection = reads, server, connection
        self._number, self._data, self._codec, self._left = number, data, codec, left
        self.deadline = float("inf") if left is None else time.monotonic() + left
        pool = self.pool = server.pool
        taken = pool.conns.popleft()
        assert taken is connection
        pool.operation_count += 1
        pool.requests += 1
        pool.active_sockets += 1
        connection.active = True
        if type(connection.cancel_context) is not _Interruption:
            connection.cancel_context = _Interruption(connection.conn.get_conn)
        pool.active_contexts.add(connection.cancel_context)
        reads.under_way.add(self)

    async def run(self) -> dict[str, Any]:
        """The reply. Raises what the driver raises.

        Whoever is cancelled leaves at once, and the connection is closed, which tells the server.
        """
        try:
            reply = await self._exchange()
            self._reads.client._topology._receive_cluster_time_no_lock(reply.get("$clusterTime"))
            _check_command_response(reply, self._connection.max_wire_version)
        except (NotPrimaryError, OperationFailure) as error:
            await self._apart(self._refused(error))
            raise
        except asyncio.CancelledError as error:
            self._apart(self._failed(error))
            raise
        except BaseException as error:
            failure = await self._apart(self._failed(error))
            if failure is error:
                raise
            raise failure from error
        self._give_back()
        return reply

    async def _exchange(self) -> dict[str, Any]:
        connection = self._connection
        protocol = connection.conn.get_conn
        timer = None
        if self._left is not None:
            # the deadline interrupts the reader, instead of a task that would wait for it
            timer = asyncio.get_running_loop().call_later(self._left, _time_out, protocol)
        try:
            await protocol.write(self._data)
            data, code = await protocol.read(self._number, connection.max_message_size)
        finally:
            if timer is not None:
                timer.cancel()
        if code not in _UNPACK_REPLY:
            raise ProtocolError(f"Got opcode {code!r} but expected {_UNPACK_REPLY.keys()!r}")
        reply: dict[str, Any] = _UNPACK_REPLY[code](data).unpack_response(codec_options=self._codec)[0]
        return reply

    def _give_back(self) -> None:
        self._reads.under_way.discard(self)
        connection, pool = self._connection, self.pool
        stale = pool.stale_generation(connection.generation, connection.service_id)
        if _is_free(pool) and not connection.closed and not stale:
            connection.active = False
            pool._checkin_apply(connection, False, False, False)
        else:
            self._apart(pool.checkin(connection))

    async def _refused(self, error: Exception) -> None:
        """The server has answered with an error, which may say that it isn't the primary any more."""
        try:
            await self._tell(error)
        finally:
            self._reads.under_way.discard(self)
            await self.pool.checkin(self._connection)

    async def _failed(self, error: BaseException) -> BaseException:
        """Close the connection, since its reply may still come. Returns what the driver makes of the error."""
        try:
            await self._connection._raise_connection_failure(error)
        except BaseException as raised:
            failure = raised
        try:
            await self._tell(failure)
        finally:
            self._reads.under_way.discard(self)
            await self.pool.checkin(self._connection)
        return failure

    async def _tell(self, error: BaseException) -> None:
        """Tell the driver, which may look at the server again, or drop its connections."""
        checkout = _ClientCheckout.for_existing_conn(self._reads.client, self._server, None, self._connection)
        await checkout.handle(type(error), error)

    def _apart(self, work: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        """Do what waits for locks of the driver's in a task of its own, which nobody cancels."""
        return asyncio.shield(self._reads.client.run_apart(work))
