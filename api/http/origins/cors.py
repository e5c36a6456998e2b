"""CORS: Starlette's middleware, extended by patterns for headers and by log lines for refused pages.

Browsers let any page open a WebSocket, without CORS: so a socket of a page is refused here unless its origin may use
the API, or is this server's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.bounded_dict import BoundedDict
from api.config.setting_types import LOCALHOST
from api.config.settings import Settings
from api.log import logger

_SENT_BY_PAGES: Final = (
    *("accept", "accept-language", "authorization", "content-language", "content-type"),
    *("idempotency-key", "x-request-id", "x-consistency-token", "x-requested-with", "apollo-require-preflight"),
    # tracing (W3C, OpenTelemetry, Sentry, Zipkin), and what Apollo's and graphql-hive's clients send with each request
    *("traceparent", "tracestate", "baggage", "sentry-trace", "b3", "x-b3-*"),
    *("apollographql-client-*", "x-apollo-*", "graphql-client-*"),
)
_READ_BY_PAGES: Final = (
    *("X-Request-Id", "X-Consistency-Token", "Idempotency-Replayed", "Retry-After"),
    *("RateLimit", "RateLimit-Policy"),
)
_METHODS: Final = ("GET", "POST")
_ANY_PORT: Final = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?"
"""Origins of pages that this machine serves itself, on any port."""
_SHOWN: Final = 200
"""The most characters that are logged of what a refused page has sent."""
_REMEMBERED: Final = 100
_LONGEST: Final = 2000
"""The most characters of the header names that a page asks for."""


class _Names(list[str]):
    """Names and patterns of headers. A name that fits a pattern is in the list."""

    def __init__(self, patterns: Iterable[str]) -> None:
        super().__init__(patterns)
        self._fit = re.compile("|".join(map(translate, self))).match

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._fit(name) is not None


class Cors(CORSMiddleware):
    """CORS headers by the settings CORS_ORIGINS and CORS_HEADERS.

    Requests without an origin get none. Their responses aren't cached, except for the explorer's files, which pages of
    other origins don't load.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        origins = settings.allowed_origins
        super().__init__(
            app,
            allow_origins=[origin for origin in origins if origin != LOCALHOST],
            allow_origin_regex=_ANY_PORT if LOCALHOST in origins else None,
            allow_methods=_METHODS,
            expose_headers=_READ_BY_PAGES,
            max_age=settings.cors_max_age,
        )
        self._allows_some = bool(origins)
        self.allow_headers = _Names((*_SENT_BY_PAGES, *settings.allowed_headers))
        self._hinted = BoundedDict[str, None](_REMEMBERED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] == "http" and (self._allows_some or scope["method"] == "OPTIONS"):
            for name, _ in scope["headers"]:
                if name == b"origin":
                    await super().__call__(scope, receive, send)
                    return
        await self.app(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        own = origin is not None and origin.partition("://")[2].lower() == headers.get("host", "").lower()
        if origin is None or own or self.is_allowed_origin(origin):
            await self.app(scope, receive, send)
            return
        shown = origin[:_SHOWN]
        if shown not in self._hinted:
            self._hinted[shown] = None
            logger.warning("socket refused", origin=shown, reason=f"{shown} is not in CORS_ORIGINS")
        await PlainTextResponse("Disallowed CORS origin", 403)(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        """As in Starlette, but a refusal is logged, since browsers don't tell the page about it."""
        asked = request_headers.get("access-control-request-headers", "")
        if len(asked) > _LONGEST:
            return PlainTextResponse("Disallowed CORS headers", 400)
        response = super().preflight_response(request_headers)
        if response.status_code == 200:
            if asked:
                response.headers["Access-Control-Allow-Headers"] = asked
        elif (reason := self._reason(request_headers, asked)) not in self._hinted:
            self._hinted[reason] = None
            origin = request_headers["origin"][:_SHOWN]
            logger.warning("preflight refused: a page's request was not sent", origin=origin, reason=reason)
        return response

    def _reason(self, request_headers: Headers, asked: str) -> str:
        """Why a preflight request is refused, and which setting says so."""
        origin, method = request_headers["origin"], request_headers["access-control-request-method"]
        if not self.is_allowed_origin(origin):
            return f"{origin[:_SHOWN]} is not in CORS_ORIGINS"
        unknown = [name for each in asked.split(",") if (name := each.strip().lower()) not in self.allow_headers]
        if unknown and asked:
            return f"CORS_HEADERS does not have {', '.join(unknown)[:_SHOWN]}"
        return f"only {' and '.join(_METHODS)} are for pages, not {method[:_SHOWN]}, nor is a private network"
