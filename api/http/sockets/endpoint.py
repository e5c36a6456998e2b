"""The handshake of a WebSocket at `/graphql`, and the sockets that are open."""

from __future__ import annotations

from typing import Final

import uuid_utils
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from api.config.settings import Settings
from api.error_codes import ErrorCode
from api.http.endpoint import GraphQLEndpoint
from api.http.sockets.messages import PROTOCOL, Code
from api.http.sockets.socket import Socket

_FULL: Final = "This process has as many sockets as it may have (MAX_SOCKETS): try again later."


class SocketEndpoint:
    """The ASGI application for WebSockets. Who may come here at all, `Hosts` and `Cors` have looked at."""

    def __init__(self, endpoint: GraphQLEndpoint, settings: Settings) -> None:
        self._endpoint, self._settings = endpoint, settings
        self._open = 0

    def __len__(self) -> int:
        return self._open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # that somebody wants to connect
        if self._open >= self._settings.max_sockets:
            body = {"errors": [{"message": _FULL, "extensions": {"code": ErrorCode.RATE_LIMITED.name}}]}
            await JSONResponse(body, 503, {"retry-after": "1", "cache-control": "no-store"})(scope, receive, send)
            return
        if PROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})
            reason = f"Subprotocol not acceptable: this is {PROTOCOL}"
            await send({"type": "websocket.close", "code": Code.SUBPROTOCOL_NOT_ACCEPTABLE, "reason": reason})
            return
        self._open += 1
        try:
            await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
            await Socket(self._endpoint, self._endpoint.sessions, str(uuid_utils.uuid7()), scope, receive, send).serve()
        finally:
            self._open -= 1
