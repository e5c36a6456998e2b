"""Shedding load: requests are refused while those that are begun have all waited too long.

A process that is sent more than it can answer would let every request wait longer than the one before, until none is
answered in time. What it can't begin in time it refuses at once, before reading the body, which costs it little.

A request waits twice: for its turn in the event loop, and for a connection of a store's pool. How long it will wait
there, those who stand in line now tell.

The measure is CoDel's (RFC 8289): the least wait of an interval, which a burst or one long step of the event loop
doesn't raise. While that is above the target, whatever has waited twice as long is refused, as in folly's Codel: so
just as much is refused as keeps the wait there.
"""

from __future__ import annotations

import time
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from api.config.settings import Settings
from api.errors import Overloaded
from api.http.request import JSON, RESPONSE_JSON, Incoming, request_id_of, response_type
from api.http.responses.answer import refusal, send_answer
from api.http.telemetry.traffic import Traffic
from api.log import logger

ARRIVED: Final = "fashion_wallet.arrived"
"""The key in an ASGI scope under which `api/server/protocol.py` puts when the request could have been begun, by the
clock of `time.monotonic`."""
_INTERVAL: Final = 0.1
"""Seconds over which the least wait is looked for."""
_FEWEST: Final = 10
"""The fewest requests that tell something: a few may all have waited for one long step."""
_QUIET: Final = 5.0
"""Seconds without a refusal after which an episode is over."""


class Shedding:
    """The ASGI application in front of `/graphql` that refuses requests while the process has too much to do."""

    def __init__(self, app: ASGIApp, traffic: Traffic, settings: Settings) -> None:
        self._app, self._traffic = app, traffic
        self._queue = Queue(settings.max_queue_time)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        arrived: float | None = scope.get(ARRIVED)
        if arrived is not None:
            now = time.monotonic()
            waited = now - arrived
            for breaker in scope["app"].state.stores.breakers:
                if breaker.line:
                    waited = max(waited, breaker.queue_time(now))
            if self._queue.refuses(waited, now, self._traffic.under_way):
                await self._refuse(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Incoming(scope, receive)
        answer = refusal(Overloaded())
        self._traffic.shed += 1
        if self._traffic.counted is not None:
            self._traffic.counted.refused(answer.status, answer.errors)
        media_type = RESPONSE_JSON if response_type(request.header(b"accept")) == RESPONSE_JSON else JSON
        await send_answer(answer, answer.content(), media_type, "", request_id_of(request), send)


class Queue:
    """Whether a request is refused, by how long it and those before it have waited. `refused` is how many were.

    An episode of refusals is logged with one line when it begins, and one when it has ended, which the next request
    tells.
    """

    __slots__ = (
        "_began",
        "_count",
        "_least",
        "_refused_last",
        "_refused_then",
        "_target",
        "_too_slow",
        "_until",
        "refused",
    )

    def __init__(self, target: float) -> None:
        self.refused = 0
        self._target = target
        self._too_slow = False
        self._least, self._count, self._until = 0.0, 0, 0.0
        self._began: float | None = None
        self._refused_last, self._refused_then = 0.0, 0

    def refuses(self, waited: float, now: float, under_way: int) -> bool:
        """Whether to refuse a request that has waited for so many seconds, at this moment of `time.monotonic`."""
        if self._count >= _FEWEST and now >= self._until:
            self._too_slow = self._least > self._target
            self._count = 0
        if not self._count:
            self._least, self._until = waited, now + _INTERVAL
        elif waited < self._least:
            self._least = waited
        self._count += 1
        if self._too_slow and waited > 2 * self._target:
            self._refuse(waited, now, under_way)
            return True
        if self._began is not None and now - self._refused_last > _QUIET:
            self._end()
        return False

    def _refuse(self, waited: float, now: float, under_way: int) -> None:
        if self._began is None:
            self._began, self._refused_then = now, self.refused
            logger.warning("load shed", waited_ms=round(waited * 1000), under_way=under_way)
        self.refused += 1
        self._refused_last = now

    def _end(self) -> None:
        assert self._began is not None
        seconds = round(self._refused_last - self._began, 1)
        logger.warning("load no longer shed", refused=self.refused - self._refused_then, seconds=seconds)
        self._began = None
