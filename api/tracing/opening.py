"""Whether there are traces, which OpenTelemetry's own variables say. Nothing of it is imported where there are none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Final

from api.config.postgres_url import parse
from api.config.settings import Settings
from api.log import logger
from api.stores.stores import Stores

if TYPE_CHECKING:
    from api.tracing.traces import Traces

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_EXPORTERS: Final = "OTEL_TRACES_EXPORTER"
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN: Final = "http/protobuf"
_REMEDY: Final = "install the extra `otel`, fashion-wallet[otel]"


def are_wanted(variables: Mapping[str, str]) -> bool:
    """Whether these environment variables ask for traces: they name a receiver, or OTLP as the exporter."""
    if variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = {name.strip() for name in variables.get(_EXPORTERS, "").split(",")} - {""}
    return "otlp" in exporters if exporters else any(variables.get(name) for name in _ENDPOINTS)


def obstacle(variables: Mapping[str, str]) -> str | None:
    """Why there can be no traces although they are wanted; None where nothing is in the way of them."""
    protocol = next((variables[name] for name in _PROTOCOLS if variables.get(name)), _SPOKEN)
    if protocol != _SPOKEN:
        return f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}, and only {_SPOKEN} is spoken"
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter
        import opentelemetry.sdk.trace.export  # noqa: F401
    except ImportError as error:
        return f"{error.name or 'opentelemetry'} is not installed: {_REMEDY}"
    return None


@contextlib.asynccontextmanager
async def open_traces(stores: Stores, settings: Settings) -> AsyncIterator[Traces | None]:
    """Traces of what is asked of these stores while the block runs; None where they aren't wanted, or can't be.

    In the end, what has not been sent gets a moment.
    """
    if not are_wanted(os.environ):
        yield None
        return
    if (reason := obstacle(os.environ)) is not None:
        logger.error("no traces", reason=reason)
        yield None
        return
    from api.tracing.traces import Traces

    url = settings.postgres_url
    traces = Traces({"PostgreSQL": url and parse(url).database, "MongoDB": stores.database.name})
    stores.calls.observe(traces)
    try:
        yield traces
    finally:
        stores.calls.forget(traces)
        await traces.close()
