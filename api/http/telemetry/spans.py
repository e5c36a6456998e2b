"""Requests that are observed: who asks in their name, and the spans that they have where there are traces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from api.http.responses.answer import Answer
from api.log import current_trace
from api.stores.calls import Asker, asking

if TYPE_CHECKING:
    from api.http.exchange import Exchange
    from api.tracing.traces import Traces

_ROUTE: Final = "/graphql"
_CARRIERS: Final = (b"traceparent", b"tracestate")
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")
"""https://www.w3.org/TR/trace-context/#traceparent-header"""
_SAMPLED: Final = 1
"""The flag of a trace that is kept."""
_LONGEST: Final = 200
"""The most characters of a header that is told."""


def name_trace(exchange: Exchange) -> None:
    """Name the trace of whoever stands in front of us in each line of the log, although we may send no spans."""
    parent = _TRACEPARENT.match(exchange.request.header(_CARRIERS[0]))
    exchange.trace_id, exchange.is_sampled = None, False
    if parent is not None:
        exchange.trace_id, exchange.is_sampled = parent[1], bool(int(parent[2], 16) & _SAMPLED)
    current_trace.set(exchange.trace_id)


def begin(exchange: Exchange) -> None:
    """From now on, what the request asks of the stores is asked in its name.

    Where there are traces, the request's span decides once whether it is one of those that are kept. Where it isn't,
    nobody asks by name, and nothing below has a span or is looked at.
    """
    if (traces := _traces(exchange)) is None:
        ask_by_name(exchange)
        return
    request = exchange.request
    carrier = {name.decode(): request.header(name) for name in _CARRIERS if name in request}
    attributes: dict[str, Any] = {
        "http.route": _ROUTE,
        "url.path": _ROUTE,
        "url.scheme": request.scope["scheme"],
        "network.protocol.version": request.scope["http_version"],
    }
    name = f"WebSocket {_ROUTE}"
    if request.scope["type"] == "http":
        attributes["http.request.method"] = request.method
        name = f"{request.method} {_ROUTE}"
    if agent := request.header(b"user-agent"):
        attributes["user_agent.original"] = agent[:_LONGEST]
    span = exchange.span = traces.opened(name, carrier, attributes)
    exchange.trace_id, exchange.is_sampled = traces.trace_of(span)
    current_trace.set(exchange.trace_id)
    if span.is_recording():
        traces.keep(ask_by_name(exchange), span)


def ask_by_name(exchange: Exchange) -> Asker:
    """From now on, what the request asks of the stores is asked in its name."""
    asker = exchange.asker = Asker(exchange.request_id, trace_id=exchange.trace_id)
    asking.set((asker,))
    return asker


def end(exchange: Exchange, answer: Answer, size: int) -> None:
    """The request has this answer, of so many bytes."""
    asking.set(())
    traces, span, asker = _traces(exchange), exchange.span, exchange.asker
    if traces is None or span is None:
        return
    is_http = exchange.request.scope["type"] == "http"
    if is_http:
        answer.headers["traceresponse"] = traces.header(span)
    if asker is None or not span.is_recording():
        return
    attributes: dict[str, Any] = {"http.response.body.size": size}
    if is_http:
        attributes["http.response.status_code"] = answer.status
    if isinstance(exchange.asked, list):
        attributes["fashion_wallet.operations"] = len(exchange.asked)
    traces.closed(asker, codes_of(answer), attributes, may_name=_may_name(exchange))


def begin_event(exchange: Exchange, request_id: str) -> Asker | None:
    """An event of a subscription is executed in this task, by a request id of its own: in this name, or in nobody's
    where it isn't one of those whose traces are kept."""
    asker = Asker(request_id, exchange.operation, "subscription")
    if (traces := _traces(exchange)) is not None:
        if not traces.happened(asker, exchange.asker):
            return None
        current_trace.set(asker.trace_id)
    asking.set((asker,))
    return asker


def end_event(exchange: Exchange, asker: Asker, answer: Answer) -> None:
    """The event has this answer."""
    if (traces := _traces(exchange)) is not None:
        traces.closed(asker, codes_of(answer), {}, may_name=_may_name(exchange))


def codes_of(answer: Answer) -> list[str]:
    """The codes of an answer's errors."""
    return [str(error.get("extensions", {}).get("code", "")) for error in answer.errors]


def _may_name(exchange: Exchange) -> bool:
    """Whether operations have names of a list that somebody keeps, of which there is an end."""
    return exchange.settings.trusted_documents == "enforce"


def _traces(exchange: Exchange) -> Traces | None:
    traces: Traces | None = exchange.request.scope["app"].state.traces
    return traces
