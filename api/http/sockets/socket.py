"""One WebSocket: what its client sends, what it is sent, and when it is closed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import uuid_utils
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from api.accounts import security_log
from api.accounts.security_log import SecurityEvent
from api.accounts.tokens import Claims
from api.admission.refusals import TooComplex
from api.errors import AppError, InvalidAccessToken, Unauthenticated
from api.execution.operation import Operation
from api.fields.disconnects import CLIENT_DISCONNECT, LEAVING, ClientDisconnect
from api.http.endpoint import GraphQLEndpoint
from api.http.exchange import Exchange
from api.http.overload.unsent_responses import QUEUED, WRITE
from api.http.request import RESPONSE_JSON, Incoming
from api.http.responses.answer import Answer, refusal
from api.http.sockets import messages
from api.http.sockets.messages import BadMessage, Code, Complete, Init, Message, Ping, Subscribe
from api.http.sockets.outbox import Outbox
from api.http.subscriptions.sessions import Sessions
from api.http.subscriptions.subscription import Subscription
from api.http.telemetry import explaining
from api.http.telemetry.explaining import Find
from api.live.errors import TooFarBehind
from api.log import logger

_AT_ONCE: Final = 10
"""The most operations of a socket that are executed at the same time; each may have a large answer."""
_NORMAL: Final = 1000
_RESTARTS: Final = "The server restarts: connect anew"


@dataclass(slots=True, eq=False)
class Running:
    """An operation that is being answered. `disconnect` tells whether its client still waits for it.

    `lasts` says that it is a subscription that has begun.
    """

    id: str
    lasts: bool = False
    disconnect: ClientDisconnect = field(default_factory=ClientDisconnect)


@dataclass(slots=True)
class Results:
    """Where the results of one subscription go."""

    running: Running
    outbox: Outbox
    head: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.head = messages.head_of_results(self.running.id)

    async def send(self, content: bytes) -> None:
        """Send this, and wait until the client takes more."""
        self.take(content)
        await self.outbox.room()

    def take(self, content: bytes) -> None:
        """Send this."""
        self.outbox.put_one(self.head + content + messages.END_OF_RESULT)

    @property
    def is_ready(self) -> bool:
        """Whether the client reads, and still wants results."""
        return self.outbox.has_room and not self.running.disconnect.gone


class Socket:
    """A socket whose handshake is done.

    Reading never waits for an operation. Each operation is answered like a request over HTTP, with a context, a price
    and a log line of its own. `complete` and the end of the socket end a query, as if its client had left; a mutation
    is carried on.
    """

    def __init__(
        self, endpoint: GraphQLEndpoint, sessions: Sessions, id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._endpoint, self._sessions, self.id = endpoint, sessions, id
        self._scope: Scope = {**scope, "method": "POST"}  # as which each operation is answered
        self._stores, self._settings = scope["app"].state.stores, scope["app"].state.settings
        self._address = endpoint.address_of(HTTPConnection(scope))
        self._receive = receive
        self._outbox = Outbox(send, self._settings.max_socket_queue, scope[QUEUED], scope[WRITE])
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._initialised = self._acknowledged = self._leaves = False
        self._claims: Claims | None = None
        self._running: dict[str, Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._began = time.monotonic()
        self._operations = 0
        self.code = _NORMAL

    async def serve(self) -> None:
        """Answer until the socket is closed, and mutations that have begun beyond that."""
        self._close_later(self._settings.socket_init_timeout, Code.INIT_TIMEOUT, "Connection initialisation timeout")
        writer = asyncio.create_task(self._outbox.write())
        try:
            await self._read()
        except asyncio.CancelledError:  # the process ends, and can't wait longer
            self.close(Code.RESTART, _RESTARTS)
            for task in self._tasks:
                task.cancel()
            raise
        finally:
            self._end()
            await asyncio.wait([writer, *self._tasks])

    def close(self, code: Code, reason: str) -> None:
        """Close the socket at once."""
        self.code = code
        self._outbox.end(code, reason)

    @property
    def _under_way(self) -> int:
        """The number of operations that are being answered; subscriptions that have begun are counted elsewhere."""
        return sum(not running.lasts for running in self._running.values())

    async def _read(self) -> None:
        while (frame := await self._receive())["type"] != "websocket.disconnect":
            text = frame.get("text")
            if frame["type"] == LEAVING:
                self._leaves = True
                self._leave_when_done()
            elif text is None:
                self.close(Code.BAD_MESSAGE, "Messages are texts")
            else:
                try:
                    self._take(messages.read(text), len(text))
                except BadMessage as bad:
                    self.close(Code.BAD_MESSAGE, str(bad))
            await asyncio.sleep(0)  # others get their turn, however many messages have come at once
            await self._outbox.room()  # who doesn't read isn't read from, either
        if self.code == _NORMAL:
            self.code = frame.get("code", _NORMAL)

    def _take(self, message: Message, size: int) -> None:
        match message:
            case Init(payload):
                if self._initialised:
                    self.close(Code.TOO_MANY_INITS, "Too many initialisation requests")
                    return
                self._initialised = True
                given = next((value for name, value in payload.items() if name.lower() == "authorization"), None)
                self._start(self._initialise(given))
            case Ping(payload):
                self._outbox.put(messages.pong(payload))
            case Subscribe(id, operation):
                if not self._acknowledged:
                    self.close(Code.UNAUTHORIZED, "Unauthorized")
                elif id in self._running:
                    self.close(Code.SUBSCRIBER_EXISTS, messages.exists(id))
                elif not self._leaves:
                    self._operations += 1
                    running = self._running[id] = Running(id)
                    crowded = self._under_way > self._settings.max_socket_operations
                    self._start(self._answer(running, operation, size, crowded=crowded))
            case Complete(id):
                self._drop(id)

    async def _initialise(self, authorization: Any) -> None:
        """Find out who is there, and acknowledge the connection."""
        exchange = self._exchange(ClientDisconnect(), 0)
        if authorization is None and b"authorization" in exchange.request:
            authorization = exchange.request.header(b"authorization")
        try:
            if authorization is not None and not isinstance(authorization, str):
                raise InvalidAccessToken
            self._claims = self._endpoint.auth.claims_of(authorization)
        except Unauthenticated as error:
            security_log.note(exchange, SecurityEvent.TOKEN_REFUSED, code=error.code.name)
            self.close(Code.FORBIDDEN, error.message)
            return
        try:
            exchange.viewer = await self._endpoint.viewer(exchange, self._claims)
        except Unauthenticated as error:
            self.close(Code.FORBIDDEN, error.message)
            return
        except AppError as error:  # the store that knows the session
            self.close(Code.TRY_AGAIN_LATER, error.message)
            return
        if self._timer is not None:
            self._timer.cancel()
        if self._claims is not None:
            self._close_later(
                self._claims.expires_at - time.time(), Code.FORBIDDEN, "The access token has expired: connect anew"
            )
            self._sessions.enter(self._claims.session_id, self._stores, self._forbid)
        self._acknowledged = True
        self._outbox.put(messages.ACK)

    async def _answer(self, running: Running, operation: Operation, size: int, *, crowded: bool) -> None:
        exchange = self._exchange(running.disconnect, size)
        find: Find = partial(self._refuse if crowded else self._execute, operation=operation)
        if operation.extensions and not crowded:
            find = explaining.by_message(find, self._endpoint.schema, operation)
        async with contextlib.nullcontext() if crowded else self._turns:
            await self._outbox.room()
            if running.disconnect.gone:
                return
            answer, content = await self._endpoint.answer(exchange, find, socket=self.id)
            if answer.subscription is None:
                await self._outbox.room()
        if answer.subscription is not None:
            await self._follow(running, answer.subscription)
            return
        if running.disconnect.gone:
            return
        del self._running[running.id]  # the client may use the id again as soon as it has read the end
        if isinstance(answer.body, dict) and "data" in answer.body:
            self._outbox.put(messages.next_result(running.id, content), messages.complete(running.id))
        else:
            self._outbox.put(messages.error(running.id, answer.errors))
        self._leave_when_done()

    async def _follow(self, running: Running, subscription: Subscription) -> None:
        """Send the results of a subscription until it is completed. Its place among the ten is others' by now."""
        running.lasts = True
        self._leave_when_done()
        task = asyncio.current_task()
        assert task is not None
        stop = partial(_cancel, task)
        running.disconnect.add_callback(stop)
        try:
            results = Results(running, self._outbox)
            await subscription.run(results.send, results)
        except TooFarBehind as error:
            self.close(Code.TOO_SLOW, error.message)
        except Unauthenticated as error:
            self.close(Code.FORBIDDEN, error.message)
        except AppError as error:
            self._running.pop(running.id, None)
            self._outbox.put(messages.error(running.id, refusal(error).errors))
        finally:
            running.disconnect.remove_callback(stop)
            await subscription.close(socket=self.id)

    async def _execute(self, exchange: Exchange, operation: Operation) -> Answer:
        return await self._endpoint.answer_one(exchange, self._claims, operation)

    async def _refuse(self, exchange: Exchange, operation: Operation) -> Answer:
        exchange.meter = self._endpoint.meters.of(self._claims.user_id if self._claims else None, exchange.address)
        most = self._settings.max_socket_operations
        raise TooComplex("Operations are under way on this socket", "max_socket_operations", most, self._under_way)

    def _exchange(self, disconnect: ClientDisconnect, size: int) -> Exchange:
        request = Incoming({**self._scope, CLIENT_DISCONNECT: disconnect}, self._receive)
        request.size = size
        exchange = Exchange(self._settings, request, str(uuid_utils.uuid7()), RESPONSE_JSON, self._stores)
        exchange.address, exchange.socket = self._address, self.id
        return exchange

    def _drop(self, id: str) -> None:
        """The client wants no more of this operation. An unknown one has ended meanwhile."""
        running = self._running.pop(id, None)
        if running is not None:
            running.disconnect.notify()
            self._leave_when_done()

    def _start(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("internal error", request_id=self.id, exc_info=error)
            self.close(Code.INTERNAL_ERROR, "Internal error")

    def _leave_when_done(self) -> None:
        if self._leaves and all(running.lasts for running in self._running.values()):
            if self.code == _NORMAL:
                self.code = Code.RESTART
            self._outbox.end(Code.RESTART, _RESTARTS, at_once=False)

    def _close_later(self, seconds: float, code: Code, reason: str) -> None:
        self._timer = asyncio.get_running_loop().call_later(max(seconds, 0), self.close, code, reason)

    def _forbid(self) -> None:
        self.close(Code.FORBIDDEN, "The session has ended: sign in anew")

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._claims is not None:
            self._sessions.leave(self._claims.session_id, self._forbid)
        for id in list(self._running):
            self._drop(id)
        self._outbox.end(_NORMAL, "")
        logger.info(
            "socket closed",
            code=int(self.code),
            viewer=str(self._claims.user_id) if self._claims else None,
            seconds=round(time.monotonic() - self._began, 1),
            operations=self._operations,
            socket=self.id,
        )


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
