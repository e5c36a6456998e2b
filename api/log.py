"""Structured logs: one line a request, with what it cost in statements."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import structlog
from pymongo import monitoring
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from api.config import Settings

logger: structlog.stdlib.BoundLogger = structlog.get_logger("fashion_wallet")


@dataclass(slots=True)
class Cost:
    """Statements and commands sent to the stores so far by one request."""

    sql: int = 0
    mongo: int = 0


current_cost: ContextVar[Cost | None] = ContextVar("current_cost", default=None)
"""The cost of the request being served. Tasks inherit it, so what a loader's batch sends is counted too."""


def count_statements(engine: AsyncEngine) -> None:
    """Add every statement that the engine sends to the current request's cost."""

    event.listen(engine.sync_engine, "before_cursor_execute", count_statement)


def count_statement(*_: object) -> None:
    """Add one statement to the current request's cost."""
    if (cost := current_cost.get()) is not None:
        cost.sql += 1


class CommandCounter(monitoring.CommandListener):
    """Adds every MongoDB command to the current request's cost."""

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if (cost := current_cost.get()) is not None:
            cost.mongo += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


def configure_logging(settings: Settings) -> None:
    """Send structlog and the standard library's loggers to stderr, as console lines or JSON."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # the rich one prints locals, secrets among them
        )
    )
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer]
        if settings.log_format == "json"
        else [*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("pymongo", "sqlalchemy", "alembic"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))


_MAX_REPORTED = 10_000
_reported: set[tuple[str, str]] = set()


def report_dangling(type_name: str, key: str) -> None:
    """Log, once a process, that something refers to an object that doesn't exist (any more)."""
    if (type_name, key) not in _reported and len(_reported) < _MAX_REPORTED:
        _reported.add((type_name, key))
        logger.warning("dangling reference", type=type_name, key=key)
