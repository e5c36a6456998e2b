"""uvicorn's protocol of a WebSocket, with limits on what a client may send, and with an orderly end."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame
from websockets.protocol import State

from api.config.settings import Settings
from api.fields.disconnects import LEAVING
from api.http.overload.client_connections import ClientConnections
from api.http.overload.unsent_responses import QUEUED, WRITE, UnsentResponses

_MOST_FRAGMENTS: Final = 1000
"""The most frames of a message; clients send one, or one for each buffer."""
_CLOSING: Final = 5.0
"""Seconds that a client gets to read why its socket is closed."""
_PING_INTERVAL: Final = 25.0
"""Seconds between pings: proxies give up a connection on which nothing happens for 30 to 60."""
_TEXT: Final = 0x81
"""The first byte of a frame that is the whole of a text. The second is its size; 126 and 127 say that the next two, or
eight, are."""
_TEXT_OF_TWO: Final = bytes((_TEXT, 126))
_TEXT_OF_EIGHT: Final = bytes((_TEXT, 127))


class SocketProtocol(WebSocketsSansIOProtocol):
    """A connection that has become a WebSocket.

    A client that doesn't read isn't read from either, so that its pings don't fill the memory with pongs. A client that
    breaks the protocol is told the code; the connection ends when it has read that, and not with a reset that
    overtakes it.
    """

    def __init__(self, config: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(config, *arguments, **options)
        state = config.loaded_app.state
        self._peers: ClientConnections = state.peers
        self._unsent: UnsentResponses = state.unsent
        self._write_paused = False
        self._queued = 0
        # while the process drains, these say that the connection is closed
        self.default_headers = [header for header in self.default_headers if header[0] != b"connection"]
        self.close_timeout = _CLOSING

    @property
    def unsent(self) -> int:
        return self.transport.get_write_buffer_size() + self._queued

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._peers.enter(self)
        self._peers.works(self)  # it isn't closed for a new connection

    def connection_lost(self, exc: Exception | None) -> None:
        self._peers.leave(self)
        self._unsent.end(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.close_sent and self.conn.parser_exc is not None:
            return  # the client goes on after it was told that it mustn't
        super().data_received(data)
        if not self.handshake_initiated:  # a head that uvicorn leaves unanswered
            self.transport.write(b"".join(self.conn.data_to_send()) or b"HTTP/1.1 400 Bad Request\r\n\r\n")
            self.transport.close()

    def handle_ping(self) -> None:
        if not self.close_sent:
            super().handle_ping()

    def handle_cont(self, event: Frame) -> None:
        if self.close_sent:
            return
        if len(self.frames) >= _MOST_FRAGMENTS:
            self._fail(CloseCode.MESSAGE_TOO_BIG, f"more than {_MOST_FRAGMENTS} fragments")
        else:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self._fail(CloseCode.INVALID_DATA, "a text is UTF-8")
                return
        super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        sent = self.conn.close_sent
        if self.close_sent or sent is None:  # it comes after our own close, or the client has just gone
            self.transport.close()
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": sent.code, "reason": sent.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_paused = True
        self._unsent.begin(self)
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._write_paused = False
        self._unsent.end(self)
        if not self.read_paused:
            self.transport.resume_reading()

    async def run_asgi(self) -> None:
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope[QUEUED], scope[WRITE] = self._wait, self._write
        await super().run_asgi()

    def _wait(self, size: int) -> None:
        more, self._queued = size > self._queued, size
        if more and self._write_paused:
            self._unsent.bound()

    def _write(self, text: bytes) -> bool:
        if self._write_paused or self.close_sent or self.conn.state is not State.OPEN:
            return False
        size = len(text)  # a whole text without extensions, as `conn.send_text` would make it by way of five objects
        if size < 126:
            head = bytes((_TEXT, size))
        elif size < 65536:
            head = _TEXT_OF_TWO + size.to_bytes(2, "big")
        else:
            head = _TEXT_OF_EIGHT + size.to_bytes(8, "big")
        self.transport.write(head + text)
        return True

    async def send(self, message: Any) -> None:
        if self.handshake_complete and self.close_sent:
            raise ClientDisconnected
        await super().send(message)

    async def receive(self) -> Any:
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            if not self._write_paused:
                self.transport.resume_reading()
        return message

    def shutdown(self) -> None:
        """Called by uvicorn when the process wants to end: what runs is answered first."""
        if self.handshake_complete and not self.close_sent and self.conn.state is State.OPEN:
            self.stop_keepalive()
            leaving: Any = {"type": LEAVING}  # between this room and `http`; ASGI has no such message
            self.queue.put_nowait(leaving)
        else:
            super().shutdown()

    def _fail(self, code: CloseCode, reason: str) -> None:
        self.conn.fail(code, reason)
        self.frames = []
        self.handle_parser_exception()


def socket_options(settings: Settings) -> dict[str, Any]:
    """What uvicorn has to be told of WebSockets. Messages aren't compressed: docs/decisions/sockets-of-our-own.md."""
    return {
        "ws": SocketProtocol,
        "ws_max_size": settings.max_body_size,
        "ws_per_message_deflate": False,
        "ws_ping_interval": _PING_INTERVAL,
        "ws_ping_timeout": _PING_INTERVAL,
    }
