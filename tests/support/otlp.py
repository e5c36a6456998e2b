"""A receiver of OTLP over HTTP, which reads what it gets by OpenTelemetry's own protobufs."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio.to_thread
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.servers import WAIT

VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"


def value_of(value: AnyValue) -> Any:
    """A value of an attribute as Python's."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(each) for each in value.array_value.values]
    return getattr(value, kind or "string_value")


@dataclass(frozen=True)
class Received:
    """A span, and what it is of."""

    span: Span
    resource: dict[str, Any]

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def kind(self) -> str:
        return str(Span.SpanKind.Name(self.span.kind)).removeprefix("SPAN_KIND_")

    @property
    def attributes(self) -> dict[str, Any]:
        return {each.key: value_of(each.value) for each in self.span.attributes}

    @property
    def ids(self) -> tuple[str, str]:
        """Of the trace and the span, in hexadecimal digits."""
        return self.span.trace_id.hex(), self.span.span_id.hex()

    @property
    def parent(self) -> str:
        """The id of the span that it is part of; empty where there is none."""
        return self.span.parent_span_id.hex()

    @property
    def links(self) -> set[tuple[str, str]]:
        return {(link.trace_id.hex(), link.span_id.hex()) for link in self.span.links}

    @property
    def is_failed(self) -> bool:
        return bool(self.span.status.code == self.span.status.STATUS_CODE_ERROR)


@dataclass
class Receiver:
    """What has been received. A `status` other than 200 is what it answers from then on."""

    port: int = 0
    status: int = 200
    received: list[Received] = field(default_factory=list)
    requests: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def named(self, name: str) -> list[Received]:
        return [each for each in self.received if each.name == name]

    def children(self, parent: Received) -> list[Received]:
        return [each for each in self.received if each.parent == parent.ids[1]]

    def wait(self, condition: Callable[[], object]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, WAIT), [each.name for each in self.received]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until this holds of what has been received."""
        await anyio.to_thread.run_sync(self.wait, condition)

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        request = ExportTraceServiceRequest.FromString(body)
        with self.changed:
            self.requests += 1
            if self.status == 200:
                for of_resource in request.resource_spans:
                    resource = {each.key: value_of(each.value) for each in of_resource.resource.attributes}
                    for scope in of_resource.scope_spans:
                        self.received += [Received(span, resource) for span in scope.spans]
            self.changed.notify_all()


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a port of its own."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.headers["content-type"] == "application/x-protobuf"
            receiver.take(self.path, body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(receiver.status)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
