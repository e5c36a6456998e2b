"""Structured logs: one line a request, with what it cost in statements."""

from __future__ import annotations

import atexit
import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import orjson
import structlog
from pymongo import monitoring
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from api.config.settings import Settings
from api.log_stream import LineLogger, LogStream

_LAST_LINES: Final = 1.0
"""Seconds that the end of a process waits for its last lines to be written."""

logger: structlog.stdlib.BoundLogger = structlog.get_logger("fashion_wallet")


class Asked(Protocol):
    """A request, by its id and the name of its operation, once that is known."""

    request_id: str

    @property
    def named(self) -> str | None: ...


@dataclass(slots=True)
class Cost:
    """Statements and commands sent to the stores so far by one request, and reads that went along with others'.

    `began` is when the request did, by the clock of `time.perf_counter`.
    """

    sql: int = 0
    mongo: int = 0
    joined: int = 0
    asked: Asked | None = None
    began: float = field(default_factory=time.perf_counter, compare=False)


current_cost: ContextVar[Cost | None] = ContextVar("current_cost", default=None)
"""The cost of the request being served. Tasks inherit it, so what a loader's batch sends is counted too."""


current_trace: ContextVar[str | None] = ContextVar("current_trace", default=None)
"""The id of the trace that a request belongs to, 32 hex digits, where there is one."""


def count_statements(engine: AsyncEngine) -> None:
    """Add every statement that the engine sends to the current request's cost."""

    event.listen(engine.sync_engine, "before_cursor_execute", count_statement)


def count_statement(*_: object) -> None:
    """Add one statement to the current request's cost."""
    if (cost := current_cost.get()) is not None:
        cost.sql += 1


class CommandCounter(monitoring.CommandListener):
    """Adds every MongoDB command to the current request's cost. `observers` are told of the driver's events, too."""

    observers: tuple[monitoring.CommandListener, ...] = ()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.count(event.command)
        for observer in self.observers:
            observer.started(event)

    @staticmethod
    def count(command: Mapping[str, Any]) -> None:
        """Add a command that is sent past the driver's events."""
        if (cost := current_cost.get()) is not None:
            cost.mongo += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        for observer in self.observers:
            observer.succeeded(event)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        for observer in self.observers:
            observer.failed(event)


def configure_logging(settings: Settings) -> None:
    """Send structlog and the standard library's loggers to stderr, as console lines or JSON.

    Every request is a line, so JSON is orjson's, straight to bytes, and the logger's methods are looked up once.
    """
    shared: list[Any] = [
        _with_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    level = getattr(logging, settings.log_level.upper())
    as_json = settings.log_format == "json"
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        exception_formatter=structlog.dev.plain_traceback,  # the rich one prints locals, secrets among them
    )
    stream = _stderr(as_json)
    factory: Any = structlog.PrintLoggerFactory(file=sys.stderr)
    if isinstance(stream, LogStream):
        factory = lambda *_: LineLogger(stream)  # noqa: E731
    elif as_json:
        factory = structlog.BytesLoggerFactory(file=sys.stderr.buffer)
    structlog.configure(
        processors=[_in_json] if as_json else [*shared, console],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    vars(logger).pop("bind", None)  # what the cache keeps: it may be of an earlier configuration
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(
                    [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
                    if as_json
                    else [console]
                ),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # SQLAlchemy logs what a pool does as the module of the pool's class, which is ours
    for noisy in ("pymongo", "sqlalchemy", "alembic", "urllib3", "models.connection_pool", "api.stores.postgres"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))


def _with_trace(_: Any, level: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Name the trace that is gone on with, in each line that belongs to one."""
    if (trace := current_trace.get()) is not None:
        entry.setdefault("trace_id", trace)
    return entry


def _in_json(log: Any, level: str, entry: MutableMapping[str, Any]) -> bytes:
    """A line of the log as JSON: in one step what the processors in `shared` do in several."""
    if "exc_info" in entry:
        entry = structlog.processors.format_exc_info(log, level, entry)
    _with_trace(log, level, entry)
    entry["level"] = level
    entry["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return json_line(entry, repr)


_streams: dict[int, LogStream] = {}
"""By file descriptor: where the log is configured again, the thread that writes goes on."""


def _stderr(as_json: bool) -> Any:
    """Where lines go: to the process's own stderr, in the background, or to what somebody has put in its place."""
    own = sys.__stderr__
    if own is None or sys.stderr is not own:
        return sys.stderr
    descriptor = own.fileno()

    def lost(lines: int) -> bytes:
        entry = {"event": "log lines lost", "level": "warning", "lines": lines, "timestamp": f"{datetime.now(UTC)}"}
        return (json_line(entry, str) if as_json else f"log lines lost: {lines}".encode()) + b"\n"

    if descriptor not in _streams:
        _streams[descriptor] = LogStream(descriptor, lost)
        atexit.register(drain_log)
    return _streams[descriptor]


def drain_log() -> None:
    """Wait a moment for the last lines to be written, at the end of a process."""
    for stream in _streams.values():
        stream.drain(_LAST_LINES)


def rest_log() -> None:
    """Write what is waiting, and end the threads that write until there is another line."""
    for stream in _streams.values():
        stream.rest(_LAST_LINES)


def json_line(entry: Any, default: Callable[[Any], Any]) -> bytes:
    """A line's JSON. What orjson can't write (half a character, an integer of more than 64 bits) is left to `json`."""
    try:
        return orjson.dumps(entry, default=default)
    except TypeError:
        return json.dumps(entry, default=default).encode()


_MAX_REPORTED = 10_000
_reported: set[tuple[str, str]] = set()


def report_dangling(type_name: str, keys: Iterable[object]) -> None:
    """Log, once a process and key, that something refers to objects that don't exist (any more)."""
    for key in map(str, keys):
        if (type_name, key) not in _reported and len(_reported) < _MAX_REPORTED:
            _reported.add((type_name, key))
            logger.warning("dangling reference", type=type_name, key=key)
