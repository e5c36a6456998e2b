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
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import text

from api.live.source import MOST
from api.stores.stores import Stores

# the casts: a place may be larger than an int, which PostgreSQL would take a compared parameter for
_IS_THERE: Final = """
    (CAST(:after AS bigint) = 0 OR EXISTS (
        SELECT FROM audit.audit_log WHERE log_position = CAST(:after AS bigint) AND id = CAST(:entry AS uuid)
    ))
"""
_NEXT: Final = text(f"""
    SELECT seen.*, entry.* FROM (
        SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon, {_IS_THERE} AS is_there
    ) AS seen
    LEFT JOIN LATERAL (
        SELECT log_position, id, table_name, record_id, actor_id, at,
            old_values::text AS before, new_values::text AS after
        FROM audit.audit_log WHERE log_position > :after ORDER BY log_position LIMIT :most
    ) AS entry ON true ORDER BY entry.log_position
""")  # noqa: S608  nothing of a request
_PAGE: Final = text("""
    SELECT log_position, id, table_name, record_id, actor_id, at, old_values::text AS before, new_values::text AS after
    FROM audit.audit_log WHERE log_position > :after AND log_position <= :upto ORDER BY log_position LIMIT :most
""")
_LAST: Final = text(
    "SELECT log_position, id FROM audit.audit_log WHERE log_position IS NOT NULL ORDER BY log_position DESC LIMIT 1"
)
_KNOWS: Final = text(f"SELECT {_IS_THERE}")
_BETWEEN: Final = text("""
    SELECT count(*) FROM (
        SELECT FROM audit.audit_log WHERE log_position > :after AND log_position <= :upto LIMIT :most + 1
    ) AS entry
""")
_NEW_TRANSACTION: Final = text("SELECT pg_current_xact_id()::text")


class RowPlace(NamedTuple):
    """A place in the log: that of an entry with this id, by which it is told from one that another history has there.

    BEGINNING is that before all entries.
    """

    position: int
    entry: UUID

    def to_json(self) -> list[Any]:
        """As it stands in a resume token."""
        return [self.position, self.entry.hex]

    @classmethod
    def from_json(cls, given: Any) -> RowPlace:
        """The inverse of `to_json`. Raises ValueError for what that can't have made.

        Tokens that were given before they named the entry are read as those of one that isn't there.
        """
        match given:
            case int(position):
                entry = _NONE
            case [int(position), str(written)]:
                entry = UUID(written)
            case _:
                raise ValueError
        if not 0 <= position < 2**63:
            raise ValueError
        return cls(position, entry)


_NONE: Final = UUID(int=0)
BEGINNING: Final = RowPlace(0, _NONE)


@dataclass(frozen=True, slots=True, eq=False)
class RowChange:
    """An entry of the log: a row before and after, as JSON by the names of its columns.

    `answers` is for whoever tells of it: what is worked out for one is there for the others.
    """

    place: RowPlace
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
    place: RowPlace
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

    async def last(self) -> RowPlace:
        """The last place of all. Everything up to it is there once `next` has read beyond."""
        async with self._stores.reads.connect() as connection:
            row = (await connection.execute(_LAST)).one_or_none()
            last = BEGINNING if row is None else RowPlace(row.log_position, row.id)
            self._gap = last.position, int((await connection.execute(_NEW_TRANSACTION)).scalar_one())
        return last

    async def next(self, after: RowPlace) -> Gapless | None:
        """What follows this place, as far as nothing can come in between any more; None where its entry isn't there."""
        async with self._stores.reads.connect() as connection:
            rows = (
                await connection.execute(_NEXT, {"after": after.position, "entry": after.entry, "most": MOST})
            ).all()
            if not rows[0].is_there:
                return None
            if self._gap is not None and int(rows[0].horizon) >= self._gap[1]:
                self._settled, self._gap = self._gap[0], None
            place, changes = after, []
            found = [row for row in rows if row.log_position is not None]
            for row in found:
                if row.log_position != place.position + 1 and row.log_position > self._settled:
                    break
                place = RowPlace(row.log_position, row.id)
                changes.append(_change(row))
            waits = len(changes) < len(found)
            if waits and self._gap is None:
                self._gap = found[-1].log_position, int((await connection.execute(_NEW_TRANSACTION)).scalar_one())
        return Gapless(changes, place, is_all=len(found) < MOST and not waits, waits=waits)

    def is_settled(self, place: RowPlace) -> bool:
        """Whether nothing can come before this place any more."""
        return self._settled >= place.position

    async def page(self, after: RowPlace, upto: RowPlace) -> Sequence[RowChange]:
        """The changes between two places up to which the log has been read; fewer than MOST where there are no more."""
        async with self._stores.reads.connect() as connection:
            parameters = {"after": after.position, "upto": upto.position, "most": MOST}
            rows = (await connection.execute(_PAGE, parameters)).all()
        return list(map(_change, rows))

    async def count(self, after: RowPlace, upto: RowPlace, most: int) -> int | None:
        """How many entries lie between two places, as far as `most` and one more; None where the entry of the first
        isn't there any more. Places are no count: what is rolled back leaves gaps.
        """
        async with self._stores.reads.connect() as connection:
            known = await connection.execute(_KNOWS, {"after": after.position, "entry": after.entry})
            if not known.scalar_one():
                return None
            parameters = {"after": after.position, "upto": upto.position, "most": most}
            return int((await connection.execute(_BETWEEN, parameters)).scalar_one())


def _change(row: Any) -> RowChange:
    before, after = (None if values is None else orjson.loads(values) for values in (row.before, row.after))
    place = RowPlace(row.log_position, row.id)
    return RowChange(place, row.table_name, row.record_id, before, after, row.actor_id, row.at)
