"""Spans by OpenTelemetry's semantic conventions for HTTP, GraphQL and databases, without values and variables.

https://opentelemetry.io/docs/specs/semconv/ says what the attributes mean. Those of our own begin with
`fashion_wallet.`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from api.log import logger
from api.stores.calls import Asker, Call, Observer, StoreName

LAST_SPANS: Final = 2.0
"""Seconds that the last spans get to be sent when the process ends."""
_NAME: Final = "fashion-wallet"
_TEXT: Final = 4000
"""The most characters of a statement."""
_COLUMNS: Final = 50
_SYSTEMS: Final = {"PostgreSQL": "postgresql", "MongoDB": "mongodb"}
_OFFSET: Final = time.time_ns() - time.perf_counter_ns()
"""What makes a time of the wall of one of `time.perf_counter`, in nanoseconds."""
_FAULTS: Final = frozenset({"INTERNAL", "STORE_UNAVAILABLE", "TIMEOUT"})
"""Codes of errors that aren't the client's."""


class Traces(Observer):
    """The spans of one process. An asker that is traced keeps its span under this object; others aren't observed.

    `databases` are the names of the stores' own.
    """

    only_asked = True

    def __init__(self, databases: Mapping[StoreName, str | None]) -> None:
        self._databases = databases
        own = Resource({"service.version": importlib.metadata.version(_NAME), "process.pid": os.getpid()})
        resource = own.merge(Resource.create())
        service = resource.attributes.get(SERVICE_NAME)
        if not isinstance(service, str) or service.startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: _NAME}))
        self._exporter = OTLPSpanExporter()
        self._processor = BatchSpanProcessor(self._exporter)
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer(_NAME)
        self._propagator = TraceContextTextMapPropagator()

    def opened(self, name: str, carrier: Mapping[str, str], attributes: Mapping[str, AttributeValue]) -> Span:
        """The span of a request that has come; it isn't recording where it isn't sampled. `carrier` are its headers,
        which may say what it is part of."""
        parent = self._propagator.extract(carrier) if carrier else None
        return self._tracer.start_span(name, parent, SpanKind.SERVER, attributes)

    def keep(self, asker: Asker, span: Span) -> None:
        """What this one asks for is part of the span."""
        asker.kept[self] = span
        asker.trace_id, _ = self.trace_of(span)

    @staticmethod
    def trace_of(span: Span) -> tuple[str, bool]:
        """The id of a span's trace, in hexadecimal digits, and whether it is sampled."""
        of = span.get_span_context()
        return format_trace_id(of.trace_id), of.trace_flags.sampled

    def happened(self, asker: Asker, subscribed: Asker | None) -> bool:
        """An event is executed for those who are subscribed. Whether it is sampled."""
        links = () if subscribed is None else self._links([subscribed])
        attributes = _of_operation(asker)
        span = self._tracer.start_span("subscription event", kind=SpanKind.CONSUMER, attributes=attributes, links=links)
        if span.is_recording():
            self.keep(asker, span)
        return span.is_recording()

    def closed(
        self, asker: Asker, codes: Sequence[str], attributes: Mapping[str, AttributeValue], *, may_name: bool
    ) -> None:
        """A request or an event has been answered, with errors of these codes. An operation's name becomes the span's
        where it `may_name` it: where clients choose names, there is no end of them."""
        span: Span | None = asker.kept.pop(self, None)
        if span is None:
            return
        if asker.kind is not None:
            named = f"{asker.kind} {asker.operation}" if may_name and asker.operation else asker.kind
            span.update_name(named)
        span.set_attributes({**_of_operation(asker), **attributes})
        if codes:
            faults = [code for code in codes if code in _FAULTS]
            span.set_attribute("fashion_wallet.error_codes", sorted(set(codes)))
            span.set_attribute("error.type", faults[0] if faults else codes[0])
            if faults:
                span.set_status(StatusCode.ERROR, faults[0])
        asker.kept[self] = NonRecordingSpan(span.get_span_context())  # what comes later can be linked to it
        span.end()

    @staticmethod
    def header(span: Span) -> str:
        """The value of the response's header `traceresponse`.

        https://w3c.github.io/trace-context/#traceresponse-header
        """
        of = span.get_span_context()
        return f"00-{format_trace_id(of.trace_id)}-{format_span_id(of.span_id)}-{of.trace_flags:02x}"

    def began(self, batch: Asker) -> None:
        parent = self._span_of(batch.parent)
        if parent is None:
            return
        attributes: dict[str, AttributeValue] = {
            "fashion_wallet.loader": batch.loader or "",
            "fashion_wallet.fields": batch.fields,
            "fashion_wallet.columns": sorted(batch.columns)[:_COLUMNS],
        }
        if batch.keys is not None:
            attributes["fashion_wallet.keys"] = batch.keys
        name = f"load {batch.loader}"
        batch.kept[self] = self._tracer.start_span(name, set_span_in_context(parent), attributes=attributes)

    def ended(self, batch: Asker, error: BaseException | None) -> None:
        span: Span | None = batch.kept.get(self)
        if span is None or batch.loader is None:
            return
        if error is not None:
            _fail(span, error)
        span.end()

    def shared(self, askers: tuple[Asker, ...]) -> None:
        links = self._links(askers[:1])
        for asker in askers[1:]:
            span = self._span_of(asker)
            for link in links if span is not None else ():
                assert span is not None
                span.add_link(link.context, {"fashion_wallet.shared": True})

    def called(self, call: Call) -> None:
        parents = [span for asker in call.askers if (span := self._span_of(asker)) is not None]
        parent = parents[0] if parents else None
        if parent is None:
            return  # those who asked are observed for another reason
        attributes: dict[str, AttributeValue] = {
            "db.system.name": _SYSTEMS[call.store],
            "db.operation.name": call.kind,
            "db.query.summary": _summary(call),
            "db.query.text": call.text[:_TEXT],
        }
        if (namespace := self._namespace(call)) is not None:
            attributes["db.namespace"] = namespace
        if call.target is not None:
            attributes["db.collection.name"] = call.target
        if call.rows is not None:
            attributes["db.response.returned_rows"] = call.rows
        if call.keys is not None:
            attributes["fashion_wallet.keys"] = call.keys
        if len(call.askers) > 1:
            attributes["fashion_wallet.shared_by"] = len(call.askers)
        began = _OFFSET + int(call.began * 1e9)
        span = self._tracer.start_span(
            _summary(call),
            set_span_in_context(parent),
            SpanKind.CLIENT,
            attributes,
            self._links([asker for asker in call.askers if self._span_of(asker) is not parent]),
            start_time=began,
        )
        if call.error is not None:
            _fail(span, call.error)
        span.end(began + int(call.seconds * 1e9))

    async def close(self) -> None:
        """Send what is left. Gives up after LAST_SPANS seconds, and what is left then is lost."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def flush() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]
            with contextlib.suppress(RuntimeError):  # nobody waited so long, and the loop is closed
                loop.call_soon_threadsafe(done.set)

        # not a thread of the loop's, for which the process would wait
        threading.Thread(target=flush, name="last spans", daemon=True).start()
        try:
            async with asyncio.timeout(LAST_SPANS):
                await done.wait()
        except TimeoutError:
            logger.warning("spans lost", seconds=LAST_SPANS)
            self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _namespace(self, call: Call) -> str | None:
        """The database: a command says which, and a connection to PostgreSQL stays in one. It has no schema of its own,
        since tables are named with theirs."""
        named = call.source.get("$db") if isinstance(call.source, Mapping) else None
        return named if isinstance(named, str) else self._databases.get(call.store)

    def _span_of(self, asker: Asker | None) -> Span | None:
        while asker is not None:
            if (span := asker.kept.get(self)) is not None:
                found: Span = span
                return found
            asker = asker.parent
        return None

    def _links(self, askers: Sequence[Asker]) -> list[Link]:
        contexts: list[SpanContext] = [
            span.get_span_context() for asker in askers if (span := self._span_of(asker)) is not None
        ]
        return [Link(context) for context in contexts if context.is_valid]


def _of_operation(asker: Asker) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {"fashion_wallet.request_id": asker.request_id}
    if asker.kind is not None:
        attributes["graphql.operation.type"] = asker.kind
    if asker.operation is not None:
        attributes["graphql.operation.name"] = asker.operation[:100]
    return attributes


def _summary(call: Call) -> str:
    return f"{call.kind} {call.target}" if call.target else call.kind


def _fail(span: Span, error: BaseException) -> None:
    """Mark a span as failed by this error. Its message isn't told, which may have values in it."""
    span.set_status(StatusCode.ERROR, type(error).__name__)
    span.set_attribute("error.type", type(error).__name__)
    state = getattr(error, "sqlstate", None) or getattr(error, "code_name", None) or getattr(error, "code", None)
    if isinstance(state, str | int):
        span.set_attribute("db.response.status_code", str(state))
