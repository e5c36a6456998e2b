"""How many shards each statement on a distributed table asks, as Citus itself plans it.

What is sent is kept with its values, and explained afterwards. A statement about several owners is explained once more
for the first of them alone: then it asks one shard, or it isn't led by the owners at all.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

import asyncpg
from sqlalchemy import event

from api.config.settings import Settings
from api.stores.calls import asking, field_that_asks
from api.stores.postgres.observation import kind_and_table
from api.stores.stores import Stores
from models.distribution import DISTRIBUTED
from models.statements import Record
from tests.execution.both import aside
from tests.support.stores.observing import observing

ONE: Final = "one"
EACH: Final = "one for each"
ALL: Final = "all"

REQUEST: Final = "a request"
PROCESS: Final = "the process"

_TASKS: Final = re.compile(r'"Task Count": (\d+)')
_KEYS: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}(,[0-9a-f]{8}-[0-9a-f-]{27})*")
"""Ids as compiled statements are given them."""
_LISTED: Final = re.compile(r"\bIN \((\$\d+[^()]*)\)")
_PLACE: Final = re.compile(r"\$(\d+)")
_NAMED: Final = re.compile("|".join(map(re.escape, DISTRIBUTED)))


class Sent(NamedTuple):
    """A statement on a distributed table, and who sent it: the loader or the field, and those that the loader reads
    for."""

    sql: str
    values: tuple[Any, ...]
    sources: tuple[str, ...]


class Asked(NamedTuple):
    """A kind of statement on a table, who sends it, and how many shards that asks."""

    table: str
    kind: str
    source: str
    shards: str


@dataclass
class Recorder:
    """The statements that were sent to distributed tables."""

    sent: list[Sent] = field(default_factory=list)

    def note(self, sql: str, values: Sequence[Any]) -> None:
        """A statement is about to be sent."""
        if _NAMED.search(sql) and not aside.get():
            self.sent.append(Sent(sql, tuple(values), tuple(_sources())))

    async def around(self, sql: str, fetch: Callable[[], Awaitable[list[Record]]]) -> list[Record]:
        """Send a compiled statement."""
        assert isinstance(fetch, partial)  # of the driver's method, to what it is given
        self.note(sql, fetch.args[1:])
        rows: list[Record] = await fetch()
        return rows

    async def asked(self, settings: Settings) -> set[Asked]:
        """What was sent, by how many shards it asks."""
        found: set[Asked] = set()
        for sent, shards in zip(self.sent, await self.shards(settings), strict=True):
            table = _NAMED.findall(sent.sql)[0].partition(".")[2]
            # keys are the request's, whichever field was resolved last
            of_request = table == "idempotency_keys" and sent.sources != (PROCESS,)
            sources = (REQUEST,) if of_request else sent.sources
            found |= {Asked(table, kind_and_table(sent.sql)[0], source, shards) for source in sources}
        return found

    async def shards(self, settings: Settings) -> list[str]:
        """How many shards each statement asks, in the order in which they were sent."""
        connection = await asyncpg.connect(settings.postgres_url)
        try:
            await connection.execute("SET citus.explain_all_tasks = off")
            return [await _shards(connection, sent) for sent in self.sent]
        finally:
            await connection.close()


@contextmanager
def recording(stores: Stores) -> Iterator[Recorder]:
    """What is sent in the block."""
    recorder = Recorder()

    def before(_: Any, __: Any, sql: str, parameters: Any, ___: Any, many: bool) -> None:
        for values in parameters if many else (parameters or (),):
            recorder.note(sql, values)

    engine = stores.engine.sync_engine
    with observing(stores):  # so that it is known who asks
        event.listen(engine, "before_cursor_execute", before)
        stores.statements.observe(recorder.around)
        try:
            yield recorder
        finally:
            event.remove(engine, "before_cursor_execute", before)


def _sources() -> Iterator[str]:
    """Who sends a statement: a loader for its fields, the field of a mutation, a request before or after its execution,
    or the process by itself."""
    askers = asking.get()
    loaded = [asker for asker in askers if asker.loader is not None]
    if loaded:
        for asker in loaded:
            yield from (f"{asker.loader}: {field}" for field in asker.fields or ("?",))
    else:
        yield field_that_asks() or ("a request" if askers else "the process")


async def _shards(connection: asyncpg.Connection[Any], sent: Sent) -> str:
    first = _for_the_first(sent)
    tasks = await _tasks(connection, sent.sql, first)
    if tasks is None:
        return EACH
    if tasks > 1:
        return ALL
    return ONE if first == sent.values and not any(map(_is_several, first)) else EACH


async def _tasks(connection: asyncpg.Connection[Any], sql: str, values: Sequence[Any]) -> int | None:
    """The most shards that any part of a statement asks; None where the coordinator parts rows among their shards."""
    lines = await connection.fetch(f"EXPLAIN (FORMAT JSON, COSTS OFF) {sql}", *values)
    plan = "".join(line[0] for line in lines)
    if "pull to coordinator" in plan:
        return None
    return max((int(count) for count in _TASKS.findall(plan)), default=0)


def _for_the_first(sent: Sent) -> tuple[Any, ...]:
    """The values, where of several keys the first one stands alone: in an array, in a text, in `IN (...)`."""
    values = [_first(value) for value in sent.values]
    for listed in _LISTED.findall(sent.sql):
        places = [int(number) - 1 for number in _PLACE.findall(listed)]
        for place in places:
            values[place] = values[places[0]]
    return tuple(values)


def _first(value: Any) -> Any:
    if isinstance(value, list):
        return value[:1]
    return value.partition(",")[0] if _is_several(value) else value


def _is_several(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, str) and _KEYS.fullmatch(value) is not None)
