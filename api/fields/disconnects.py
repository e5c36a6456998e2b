"""Clients that disconnect before they are answered: reads for them are ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

CLIENT_DISCONNECT: Final = "fashion_wallet.disconnect"
"""The key in an ASGI scope under which `api/server/protocol.py` puts the `ClientDisconnect` of the connection."""

LEAVING: Final = "websocket.leaving"
"""The type of the ASGI message by which `api/server/socket_protocol.py` tells a WebSocket that the process wants to
end."""


class Parts(Protocol):
    """A connection over which parts of a response go without a turn of the event loop."""

    @property
    def is_ready(self) -> bool:
        """Whether a response has begun, and its client reads."""
        ...

    def send_part(self, part: bytes) -> None:
        """Send this part of the response. It must be ready."""
        ...


class ClientDisconnect:
    """Whether the client of a connection has gone, and the callbacks for when it goes.

    `leave` is called when the process wants to end, where an answer has no end of its own. `parts` takes parts of such
    an answer at once, while the connection is open.
    """

    __slots__ = ("_callbacks", "gone", "leave", "parts")

    def __init__(self) -> None:
        self.gone = False
        self.leave: Callable[[], None] | None = None
        self.parts: Parts | None = None
        self._callbacks: dict[Callable[[], None], None] = {}

    def add_callback(self, callback: Callable[[], None]) -> None:
        """Call this when the client goes, or at once if it has gone."""
        self._callbacks[callback] = None
        if self.gone:
            callback()

    def remove_callback(self, callback: Callable[[], None]) -> None:
        """Don't call this any more."""
        self._callbacks.pop(callback, None)

    def notify(self) -> None:
        """Note that the client has gone, and call the callbacks."""
        self.gone = True
        for callback in list(self._callbacks):
            callback()
