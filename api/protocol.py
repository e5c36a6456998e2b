"""uvicorn's HTTP/1.1 protocol on httptools, with bounds for what comes before a body."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.config import Settings

_ANSWER: Final = b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LARGE: Final = _ANSWER % b"431 Request Header Fields Too Large"
_TOO_LATE: Final = _ANSWER % b"408 Request Timeout"


class Protocol(HttpToolsProtocol):
    """Ends connections whose request line and headers are too long, or don't end: httptools would keep all of them,
    and uvicorn wait for ever."""

    def __init__(self, config: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(config, *arguments, **options)
        settings: Settings = config.loaded_app.state.settings
        self._max_head, self._head_timeout = settings.max_head_size, settings.head_timeout
        self._head: int | None = 0
        """Bytes of the request line and headers so far, give or take a read; None while a body is read."""
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late = self.loop.call_later(self._head_timeout, self._refuse, _TOO_LATE)

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            self._head += len(data)
        super().data_received(data)
        if self._head:
            if self._head > self._max_head:
                self._refuse(_TOO_LARGE)
            elif self._late is None:
                self._late = self.loop.call_later(self._head_timeout, self._refuse, _TOO_LATE)

    def on_message_begin(self) -> None:
        self._head = max(self._head or 0, 1)  # where it begins in the middle of what came, it has begun all the same
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head = None
        if self._late is not None:
            self._in_time()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._head = 0
        super().on_message_complete()

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self, answer: bytes) -> None:
        self._in_time()
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()
