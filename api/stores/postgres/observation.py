"""Statements that are observed: those of SQLAlchemy by its events, and compiled ones around the driver's call."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import Any, Final

from sqlalchemy import ExceptionContext, event
from sqlalchemy.ext.asyncio import AsyncEngine

from api.stores.calls import Calls
from models.statements import Record, StatementRunner

_BEGAN: Final = "_fashion_wallet_call_began"
_VERB: Final = re.compile(r"\(|\)|'(?:[^']|'')*'|\"[^\"]*\"|\b[A-Za-z]+\b")
_MAIN: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES"})
_TARGET: Final = re.compile(
    r"\b(FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:ONLY\s+|LATERAL\s+|IF\s+EXISTS\s+)*"
    r"((?:\"[^\"]+\"|[a-z_][\w$]*)(?:\.(?:\"[^\"]+\"|[a-z_][\w$]*))?)(\s*\()?",
    re.IGNORECASE,
)
_WORDS: Final = frozenset({"SELECT", "SET", "OF"})
_NAMED: Final = re.compile(
    r"(?:\bWITH(?:\s+RECURSIVE)?|,)\s+(\"[^\"]+\"|[a-z_]\w*)(?:\s*\([^()]*\))?\s+AS\b", re.IGNORECASE
)


@lru_cache(1000)
def kind_and_table(sql: str) -> tuple[str, str | None]:
    """A statement's verb, and the first table that it names; that of `WITH ...` is the statement's that follows."""
    return _kind(sql), _table(sql)


def _kind(sql: str) -> str:
    depth, first = 0, None
    for match in _VERB.finditer(sql.lstrip("( ")):
        word = match[0]
        if word == "(":
            depth += 1
        elif word == ")":
            depth -= 1
        elif depth == 0 and word[0] not in "'\"":
            word = word.upper()
            if first is None:
                first = word
                if word != "WITH":
                    return word
            elif word in _MAIN:
                return word
    return first or ""


def _table(sql: str) -> str | None:
    named = {name.strip('"').lower() for name in _NAMED.findall(sql)} if "WITH" in sql.upper() else ()
    for match in _TARGET.finditer(sql):
        word, name, opens = match.groups()
        name = name.replace('"', "")
        is_function = opens is not None and word.upper() in ("FROM", "JOIN")
        if not is_function and name.lower() not in named and name.upper() not in _WORDS:
            return name
    return None


class ObservedPostgres:
    """Hooks of one engine, and of the compiled statements that run on it."""

    def __init__(self, calls: Calls, engine: AsyncEngine, statements: StatementRunner) -> None:
        self._calls, self._engine, self._statements = calls, engine.sync_engine, statements
        self._events: tuple[tuple[str, Callable[..., Any]], ...] = (
            ("before_cursor_execute", self._before),
            ("after_cursor_execute", self._after),
            ("handle_error", self._failed),
        )
        self._listens = False
        calls.hooks.append(self.hook)

    def hook(self, observed: bool) -> None:
        """Begin or end to observe."""
        self._statements.observe(self._around if observed else None)
        if observed != self._listens:
            self._listens = observed
            change = event.listen if observed else event.remove
            for name, listener in self._events:
                change(self._engine, name, listener)

    async def _around(self, sql: str, fetch: Callable[[], Awaitable[list[Record]]]) -> list[Record]:
        began, error, rows = time.perf_counter(), None, None
        try:
            rows = await fetch()
        except BaseException as failure:
            error = failure
            raise
        else:
            return rows
        finally:
            self._ended(sql, began, None if rows is None else len(rows), error)

    def _before(self, _: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
        setattr(context if context is not None else cursor, _BEGAN, time.perf_counter())

    def _after(self, _: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
        if (began := getattr(context, _BEGAN, None)) is not None:
            count: int = cursor.rowcount
            self._ended(sql, began, count if count >= 0 else None, None)

    def _failed(self, failure: ExceptionContext) -> None:
        began = getattr(failure.execution_context, _BEGAN, None)
        if began is not None and failure.statement is not None:
            self._ended(failure.statement, began, None, failure.original_exception)

    def _ended(self, sql: str, began: float, rows: int | None, error: BaseException | None) -> None:
        times = began, time.perf_counter()
        self._calls.ended("PostgreSQL", kind_and_table(sql), partial(str, sql), times, rows, error, sql)
