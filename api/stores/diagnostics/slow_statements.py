"""Statements and commands that take long are logged: what they were and who asked, and never a value."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from api.config.settings import Settings
from api.log import current_cost, current_trace, logger
from api.stores.calls import Call, Clock, StoreName, loading
from api.stores.postgres.connector import SpareConnection
from api.stores.stores import Stores

MOST: Final = 20
"""Lines a second. Where a store is slow, every statement is; how many were left out, the next line says."""
_FIELDS: Final = 10
_PLANS: Final = 500
"""Statements whose plans were asked for, each once."""
_LONGEST: Final = 5.0
"""Seconds that a plan may take."""


@contextlib.asynccontextmanager
async def logging_slow(stores: Stores, settings: Settings) -> AsyncIterator[None]:
    """Log what is slow in these stores while the block runs; nothing is looked at where SLOW_STATEMENT is 0."""
    if not settings.slow_statement:
        yield
        return
    slow = SlowStatements(settings.slow_statement, stores.spare if settings.slow_statement_plans else None)
    stores.calls.time(slow)
    try:
        yield
    finally:
        stores.calls.stop(slow)
        await slow.close()


class SlowStatements(Clock):
    """Logs what takes `least` seconds. With `plans`, PostgreSQL is asked how it reads, once for each statement.

    It plans without values (GENERIC_PLAN, from PostgreSQL 16 on), over the connection of the health checks.
    """

    def __init__(self, least: float, plans: SpareConnection | None = None) -> None:
        self._least, self._spare = least, plans
        self._second, self._lines, self._left_out = 0, 0, 0
        self._planned: set[str] = set()
        self._planning: set[asyncio.Task[None]] = set()

    def timed(self, store: StoreName, kind: str, seconds: float, error: BaseException | None) -> bool:
        return seconds >= self._least

    def called(self, call: Call) -> None:
        if call.kind == "getMore" and call.error is None:
            return  # as a rule it has waited for changes, which is what change streams are for
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._lines = second, 0
        if self._lines >= MOST:
            self._left_out += 1
            return
        self._lines += 1
        said = _said(call)
        if self._left_out:
            said["left_out"], self._left_out = self._left_out, 0
        logger.warning("slow statement", **said)
        if self._spare is not None and call.store == "PostgreSQL":
            self._plan(call.text, said)

    def _plan(self, sql: str, said: dict[str, Any]) -> None:
        if sql in self._planned or len(self._planned) >= _PLANS:
            return
        self._planned.add(sql)
        task = asyncio.get_running_loop().create_task(self._log_plan(sql, said))
        self._planning.add(task)
        task.add_done_callback(self._planning.discard)

    async def _log_plan(self, sql: str, said: dict[str, Any]) -> None:
        assert self._spare is not None
        about = {name: said[name] for name in ("kind", "target", "operation") if name in said}
        try:
            async with asyncio.timeout(_LONGEST):
                connection = await self._spare.take()
                try:
                    explained = await connection.prepare(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {sql}")
                    # the driver asks for values, and the plan doesn't
                    found = await explained.fetchval(*[None] * len(explained.get_parameters()))
                finally:
                    self._spare.give_back(connection)
        except Exception as error:  # an older server, a statement that has no plan
            logger.info("no plan of a slow statement", **about, error=type(error).__name__)
            return
        plan = json.loads(found) if isinstance(found, str) else found
        logger.info("plan of a slow statement", **about, statement=sql, plan=shape(plan[0]["Plan"]))

    async def close(self) -> None:
        """Plan nothing more."""
        for task in list(self._planning):
            task.cancel()
        if self._planning:
            await asyncio.wait(self._planning)


def shape(plan: dict[str, Any]) -> str:
    """A plan's nodes as a text, such as `Limit > Nested Loop (Seq Scan users, Index Scan avatars by avatars_pkey)`."""
    own = " ".join(_node(plan))
    below = [shape(child) for child in plan.get("Plans", ())]
    if not below:
        return own
    return f"{own} > {below[0]}" if len(below) == 1 else f"{own} ({', '.join(below)})"


def _node(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["Node Type"]
    if (table := plan.get("Relation Name")) is not None:
        yield table
    if (index := plan.get("Index Name")) is not None:
        yield f"by {index}"


def _said(call: Call) -> dict[str, Any]:
    first = call.askers[0] if call.askers else None
    asked = cost.asked if (cost := current_cost.get()) is not None else None
    operation = first.root.operation if first is not None else asked.named if asked is not None else None
    fields = list(dict.fromkeys(field for asker in call.askers for field in asker.fields))
    if not fields and call.field is not None:
        fields = [call.field]
    said: dict[str, Any] = {
        "store": call.store,
        "kind": call.kind,
        "target": call.target,
        "ms": round(call.seconds * 1000, 2),
        "rows": call.rows,
        "keys": call.keys,
        "operation": operation[:100] if operation else None,
        "fields": fields[:_FIELDS] or None,
        "loader": first.loader if first is not None else loading.get(),
        "request_id": first.request_id if first is not None else asked.request_id if asked is not None else None,
        "trace_id": first.root.trace_id if first is not None else current_trace.get(),
        "shared_by": call.readers if call.readers > 1 else None,
        "error": type(call.error).__name__ if call.error is not None else None,
    }
    return {name: value for name, value in said.items() if value is not None}
