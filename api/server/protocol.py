"""uvicorn's HTTP/1.1 protocol (httptools), with limits on the size and the duration of requests."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.config.settings import Settings
from api.fields.disconnects import CLIENT_DISCONNECT, ClientDisconnect
from api.http.overload.client_connections import ClientConnections
from api.http.overload.shedding import ARRIVED
from api.http.overload.unsent_responses import UnsentResponses
from api.server.unread import waited_unread

_ANSWER: Final = b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LARGE: Final = _ANSWER % b"431 Request Header Fields Too Large"
_TOO_LATE: Final = _ANSWER % b"408 Request Timeout"
_TOO_EAGER: Final = _ANSWER % b"429 Too Many Requests"
_MOST_HEADERS: Final = 200
"""The most headers of a request: each takes some hundred bytes of memory, however short it is."""
_MOST_AHEAD: Final = 10
"""The most requests that a client may send before the first one is answered."""


class _Refused(Exception):
    """Stops the parser; uvicorn then calls `send_400_response`."""


class _Dropped(list[tuple[bytes, bytes]]):
    """A list that keeps nothing, for trailers: they must not change the headers of a running request."""

    def append(self, header: tuple[bytes, bytes]) -> None:
        pass


class Protocol(HttpToolsProtocol):
    """Ends connections whose requests are too large or too slow.

    httptools alone would keep a head of any size, and uvicorn would wait for ever for a head, a body or trailers.
    HEAD_TIMEOUT and BODY_TIMEOUT both begin with the first byte of a request. Everything after the head (the body,
    sizes and extensions of its chunks, trailers) may have twice the bytes of the body, plus MAX_HEAD_SIZE.
    """

    def __init__(self, config: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(config, *arguments, **options)
        settings: Settings = config.loaded_app.state.settings
        self._peers: ClientConnections = config.loaded_app.state.peers
        self._unsent: UnsentResponses = config.loaded_app.state.unsent
        self._disconnect = ClientDisconnect()
        self._held: tuple[Any, Any] | None = None
        """A pipelined request that waits until the earlier ones are answered."""
        self._max_head = settings.max_head_size
        self._head_timeout, self._body_timeout = settings.head_timeout, settings.body_timeout
        self._tells_arrival = self._is_new = settings.max_queue_time > 0
        self._unaccepted = 0.0
        """Seconds that the first request has waited for its connection to be accepted."""
        self._head = 0
        """About how many bytes of the request line and headers have arrived; 0 between requests."""
        self._rest: int | None = None
        """Bytes that have arrived after the head; None before its end and between requests."""
        self._body = 0
        """Bytes of the body among these."""
        self._began = 0.0
        self._late: asyncio.TimerHandle | None = None
        self._answer: bytes | None = None
        self._upgrades = False
        """Whether the connection becomes a WebSocket, which `api/server/socket_protocol.py` goes on with."""

    @property
    def unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    @property
    def is_ready(self) -> bool:
        """Whether a response of parts has begun, and its client reads."""
        cycle = self.cycle  # the last request: where others have come since, it hasn't begun
        under_way = cycle.response_started and not cycle.response_complete
        return under_way and not cycle.disconnected and not self.flow.write_paused

    def send_part(self, part: bytes) -> None:
        """Send this part of a response at once, as `RequestResponseCycle.send` does."""
        self.transport.write(b"%x\r\n%b\r\n" % (len(part), part))

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._disconnect.parts = self
        refusal = self._peers.enter(self)
        if refusal is not None:
            self._refuse(refusal)
        else:
            self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._peers.leave(self)
        self._unsent.end(self)
        self._held = None
        self._stop_clock()
        super().connection_lost(exc)
        self._disconnect.notify()
        self._disconnect.parts = None  # which would be a cycle

    def data_received(self, data: bytes) -> None:
        if self._is_new:
            self._is_new = False
            self._unaccepted = waited_unread(self.transport.get_extra_info("socket"))
        if self._rest is not None:
            self._rest += len(data)
        else:
            if not self._head:
                self._stop_clock()  # the timer of a connection on which nothing has arrived yet
            self._head += len(data)
        super().data_received(data)
        if self._rest is not None:
            if self._rest > self._max_head + 2 * self._body:
                self._refuse(_TOO_LARGE)
        elif not self._head:
            return  # the usual case: the whole request has arrived at once
        elif self._head > self._max_head or len(self.headers or ()) > _MOST_HEADERS:
            self._refuse(_TOO_LARGE)
        if self._late is None:
            self._start_clock()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= _MOST_AHEAD:
            self._answer = _TOO_EAGER
            raise _Refused
        self._head = max(self._head, 1)  # it may begin in the middle of the received data
        super().on_message_begin()
        self.scope[CLIENT_DISCONNECT] = self._disconnect  # type: ignore[typeddict-unknown-key]  # servers may add to it

    def on_headers_complete(self) -> None:
        if len(self.headers) > _MOST_HEADERS or (self._head > self._max_head and self._head_size() > self._max_head):
            self._answer = _TOO_LARGE
            raise _Refused
        self._rest = self._body = 0
        if self._late is not None:
            self._stop_clock()
            self._late = self.loop.call_at(self._began + self._body_timeout, self._expire)
        super().on_headers_complete()
        if self.parser.should_upgrade():  # uvicorn looks at the headers again
            self._upgrades = self._should_upgrade()
        else:
            self.headers = _Dropped()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head, self._rest = 0, None
        if self._late is not None:
            self._stop_clock()
        super().on_message_complete()
        if self._upgrades:
            return
        if not self.cycle.response_complete:
            self._peers.works(self)
        if (
            self.flow.read_paused and not self.pipeline
        ):  # the long body has arrived; reading on shows when the client leaves
            self.flow.resume_reading()

    def handle_websocket_upgrade(self) -> None:
        self._peers.leave(self)
        super().handle_websocket_upgrade()

    def _should_upgrade(self) -> bool:
        """Not while an earlier request is being answered."""
        return (self.cycle is None or self.cycle.response_complete) and super()._should_upgrade()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.pipeline:
            self._peers.waits(self)

    def shutdown(self) -> None:
        """Called by uvicorn when the process wants to end: a stream of events ends at once, other answers first."""
        super().shutdown()
        if self._disconnect.leave is not None:
            self._disconnect.leave()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent.begin(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unsent.end(self)
        if self._held is not None:
            held, self._held = self._held, None
            self._start_asgi_task(*held)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if self.flow.write_paused:  # only one response may wait for the client
            self._held = cycle, app
        else:
            if self._tells_arrival:
                # of a pipelined one: when those before it are answered
                cycle.scope[ARRIVED] = self.loop.time() - self._unaccepted
                self._unaccepted = 0.0
            super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        if self._answer is None:
            super().send_400_response(msg)
        else:
            self._refuse(self._answer)

    def _head_size(self) -> int:
        """The bytes of the request line and headers; the count so far may include some of the body."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _start_clock(self) -> None:
        self._began = self.loop.time()
        seconds = self._head_timeout if self._rest is None else self._body_timeout
        self._late = self.loop.call_at(self._began + seconds, self._expire)

    def _stop_clock(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _expire(self) -> None:
        answers = self.cycle is not None and not self.cycle.response_complete
        if self.flow.read_paused or self.pipeline or (self._rest is None and answers):
            self._start_clock()  # earlier requests must be answered first
        elif self._rest is not None and self.cycle.response_started:
            self.transport.close()
        else:
            self._refuse(_TOO_LATE)

    def _refuse(self, answer: bytes) -> None:
        self._stop_clock()
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()
