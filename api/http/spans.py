"""Requests that are observed: who asks in their name, and the spans that they have where there are traces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from api.http.response import Answer
from api.log import current_trace
from api.stores.calls import Asker, asking

if TYPE_CHECKING:
    from api.http.exchange import Exchange
    from api.tracing.traces import Traces

_ROUTE: Final = "/graphql"
_CARRIERS: Final = (b"traceparent", b"tracestate")
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-")
"""https://www.w3.org/TR/trace-context/#traceparent-header"""
_LONGEST: Final = 200
"""The most characters of a header that is told."""


def name_trace(exchange: Exchange) -> None:
    """Name the trace of whoever stands in front of us in each line of the log, although we may send no spans."""
    parent = _TRACEPARENT.match(exchange.request.header(_CARRIERS[0]))
    current_trace.set(parent[1] if parent is not None else None)


def begin(exchange: Exchange) -> None:
    """From now on, what the request asks of the stores is asked in its name."""
    asker = exchange.asker = Asker(exchange.request_id)
    asking.set((asker,))
    request = exchange.request
    if (traces := _traces(exchange)) is None:
        return
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
    traces.opened(asker, name, carrier, attributes)
    current_trace.set(asker.trace_id)


def end(exchange: Exchange, answer: Answer, size: int) -> None:
    """The request has this answer, of so many bytes."""
    asker = exchange.asker
    assert asker is not None
    asking.set(())
    if (traces := _traces(exchange)) is None:
        return
    attributes: dict[str, Any] = {"http.response.body.size": size}
    if exchange.request.scope["type"] == "http":
        attributes["http.response.status_code"] = answer.status
        if (header := traces.header(asker)) is not None:
            answer.headers["traceresponse"] = header
    if isinstance(exchange.asked, list):
        attributes["fashion_wallet.operations"] = len(exchange.asked)
    traces.closed(asker, codes_of(answer), attributes, may_name=_may_name(exchange))


def begin_event(exchange: Exchange, request_id: str) -> Asker:
    """An event of a subscription is executed in this task, by a request id of its own."""
    asker = Asker(request_id, exchange.operation, "subscription")
    asking.set((asker,))
    if (traces := _traces(exchange)) is not None:
        traces.happened(asker, exchange.asker)
        current_trace.set(asker.trace_id)
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
