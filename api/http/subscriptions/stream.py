"""Subscriptions as streams of events over HTTP."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from starlette.types import Scope, Send

from api.errors import AccessTokenExpired, AppError, InvalidAccessToken
from api.fields.disconnects import CLIENT_DISCONNECT, ClientDisconnect, Parts
from api.http.request import EVENT_STREAM
from api.http.responses.answer import refusal
from api.http.responses.event_stream import ALIVE, END, event
from api.http.subscriptions.sessions import Sessions
from api.http.subscriptions.subscription import Subscription

QUIET: Final = 15.0
"""Seconds without an event after which a comment shows that the stream is alive: proxies end those that are silent."""


async def follow(subscription: Subscription, sessions: Sessions, scope: Scope, send: Send) -> None:
    """Send the results of a subscription, until it ends, its client leaves, or the process does.

    A process that leaves ends the response without `complete`, so that clients connect anew.
    """
    headers = [
        (b"content-type", f"{EVENT_STREAM}; charset=utf-8".encode()),
        (b"x-request-id", subscription.exchange.request_id.encode()),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),  # nginx would keep events back
        (b"vary", b"accept, accept-encoding"),
        (b"x-content-type-options", b"nosniff"),
    ]
    stream = _Stream(subscription, send)
    try:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await stream.run(sessions, scope)
    finally:
        await subscription.close()


@dataclass(frozen=True, slots=True)
class _Events:
    """A stream over a connection that takes events at once."""

    parts: Parts

    @property
    def is_ready(self) -> bool:
        return self.parts.is_ready

    def take(self, content: bytes) -> None:
        self.parts.send_part(event(content))


class _Stream:
    """A response whose events are sent as they come."""

    def __init__(self, subscription: Subscription, send: Send) -> None:
        self._subscription, self._send = subscription, send
        self._sending: asyncio.Task[None] | None = None
        self._refusal: AppError | None = None

    async def run(self, sessions: Sessions, scope: Scope) -> None:
        claims = self._subscription.claims
        disconnect: ClientDisconnect = scope.get(CLIENT_DISCONNECT) or ClientDisconnect()
        sink = None if disconnect.parts is None else _Events(disconnect.parts)
        sending = self._sending = asyncio.create_task(self._subscription.run(self._send_result, sink))
        timer = None
        disconnect.add_callback(self._stop)
        disconnect.leave = self._stop
        if claims is not None:
            expires = max(claims.expires_at - time.time(), 0)
            timer = asyncio.get_running_loop().call_later(expires, self._refuse, AccessTokenExpired())
            sessions.enter(claims.session_id, self._subscription.exchange.stores, self._forbid)
        try:
            while not sending.done():
                sent = self._subscription.sent
                await asyncio.wait([sending], timeout=QUIET)
                if not sending.done() and sent == self._subscription.sent:
                    await self._send({"type": "http.response.body", "body": ALIVE, "more_body": True})
        finally:
            sending.cancel()
            await asyncio.wait([sending])
            disconnect.remove_callback(self._stop)
            disconnect.leave = None
            if timer is not None:
                timer.cancel()
            if claims is not None:
                sessions.leave(claims.session_id, self._forbid)
        if not sending.cancelled() and (error := sending.exception()) is not None:
            if not isinstance(error, AppError):
                raise error
            self._refusal = error
        end = b""
        if self._refusal is not None:
            end = event(refusal(self._refusal).content()) + END
        if not disconnect.gone:
            await self._send({"type": "http.response.body", "body": end})

    async def _send_result(self, content: bytes) -> None:
        await self._send({"type": "http.response.body", "body": event(content), "more_body": True})

    def _stop(self) -> None:
        if self._sending is not None:
            self._sending.cancel()

    def _forbid(self) -> None:
        self._refuse(InvalidAccessToken())

    def _refuse(self, error: AppError) -> None:
        self._refusal = error
        self._stop()
