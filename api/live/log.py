"""Changes of PostgreSQL's rows in an order that stays: the audit log, which triggers write within the transaction.

An entry's place is given when a row is written, while the row is locked, so the places of one object's entries are in
the order of its versions. But a transaction with a later place may be committed first. What is read therefore ends
before the first place that is missing, until every transaction has ended that may still fill it: those that were
running when the gap was seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import text

from api.live.source import MOST
from api.stores.stores import Stores

_NEXT: Final = text("""
    SELECT seen.horizon, entry.* FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon) AS seen
    LEFT JOIN LATERAL (
        SELECT log_position, table_name, record_id, actor_id, at,
            old_values::text AS before, new_values::text AS after
        FROM audit.audit_log WHERE log_position > :after ORDER BY log_position LIMIT :most
    ) AS entry ON true ORDER BY entry.log_position
""")
_PAGE: Final = text("""
    SELECT log_position, table_name, record_id, actor_id, at, old_values::text AS before, new_values::text AS after
    FROM audit.audit_log WHERE log_position > :after AND log_position <= :upto ORDER BY log_position LIMIT :most
""")
_LAST: Final = text("SELECT coalesce(max(log_position), 0) FROM audit.audit_log")
_IS_THERE: Final = text(
    "SELECT :place = 0 OR EXISTS (SELECT FROM audit.audit_log WHERE log_position = :place) AS is_there"
)
_BETWEEN: Final = text("""
    SELECT count(*) FROM (
        SELECT FROM audit.audit_log WHERE log_position > :after AND log_position <= :upto LIMIT :most + 1
    ) AS entry
""")
_NEW_TRANSACTION: Final = text("SELECT pg_current_xact_id()::text")


@dataclass(frozen=True, slots=True, eq=False)
class RowChange:
    """An entry of the log: a row before and after, as JSON by the names of its columns.

    `answers` is for whoever tells of it: what is worked out for one is there for the others.
    """

    place: int
    table: str
    key: UUID
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    actor_id: UUID | None
    at: datetime
    answers: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gapless:
    """What has been read: everything up to `place`. `is_all` says that nothing follows by now; `waits` that something
    does, and has to wait for a transaction to end."""

    changes: Sequence[RowChange]
    place: int
    is_all: bool
    waits: bool


class Log:
    """Reads the log. It notes the gaps that it has seen, so that each reader that goes on has one of its own."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._settled = 0
        """Up to this place, what is missing will never come."""
        self._gap: tuple[int, int] | None = None
        """A place, and the first transaction that began after it was given."""

    async def last(self) -> int:
        """The last place of all. Everything up to it is there once `next` has read beyond."""
        async with self._stores.reads.connect() as connection:
            last: int = (await connection.execute(_LAST)).scalar_one()
            self._gap = last, int((await connection.execute(_NEW_TRANSACTION)).scalar_one())
        return last

    async def next(self, after: int) -> Gapless:
        """What follows this place, as far as nothing can come in between any more."""
        async with self._stores.reads.connect() as connection:
            rows = (await connection.execute(_NEXT, {"after": after, "most": MOST})).all()
            if self._gap is not None and int(rows[0].horizon) >= self._gap[1]:
                self._settled, self._gap = self._gap[0], None
            place, changes = after, []
            found = [row for row in rows if row.log_position is not None]
            for row in found:
                if row.log_position != place + 1 and row.log_position > self._settled:
                    break
                place = row.log_position
                changes.append(_change(row))
            waits = len(changes) < len(found)
            if waits and self._gap is None:
                self._gap = found[-1].log_position, int((await connection.execute(_NEW_TRANSACTION)).scalar_one())
        return Gapless(changes, place, is_all=len(found) < MOST and not waits, waits=waits)

    def is_settled(self, place: int) -> bool:
        """Whether nothing can come before this place any more."""
        return self._settled >= place

    async def page(self, after: int, upto: int) -> Sequence[RowChange]:
        """The changes between two places up to which the log has been read; fewer than MOST where there are no more."""
        async with self._stores.reads.connect() as connection:
            rows = (await connection.execute(_PAGE, {"after": after, "upto": upto, "most": MOST})).all()
        return list(map(_change, rows))

    async def count(self, after: int, upto: int, most: int) -> int | None:
        """How many entries lie between two places, as far as `most` and one more; None where the entry of the first
        isn't there any more. Places are no count: what is rolled back leaves gaps.

        Place 0 is that before all entries.
        """
        async with self._stores.reads.connect() as connection:
            if not (await connection.execute(_IS_THERE, {"place": after})).scalar_one():
                return None
            parameters = {"after": after, "upto": upto, "most": most}
            return int((await connection.execute(_BETWEEN, parameters)).scalar_one())


def _change(row: Any) -> RowChange:
    before, after = (None if values is None else orjson.loads(values) for values in (row.before, row.after))
    return RowChange(row.log_position, row.table_name, row.record_id, before, after, row.actor_id, row.at)
