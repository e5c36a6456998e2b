"""What differs where PostgreSQL is the coordinator of a Citus cluster, over which tables are distributed.

Whether they are is asked on each new connection: `migrate distribute` ends those from before. On one PostgreSQL nothing
else of this module is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import (
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    ColumnElement,
    Connection,
    Result,
    Table,
    bindparam,
    event,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as UUIDType
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import Grouping

from models.base import new_id
from models.distribution import DISTRIBUTED, distribution
from models.external_pooler import Connection as DriverConnection
from models.external_pooler import PooledConnection, ask

_LOOK: Final = "SELECT current_setting('app.distributed', true) = 'on' AS distributed"
"""`migrate distribute` gives the setting to the database, ends the sessions from before, and then moves the tables."""
_BEGIN: Final = "SELECT audit.begin_change($1, $2, $3, $4)"
_END: Final = "SELECT audit.end_change($1, $2, $3, $4, $5)"


@dataclass(slots=True)
class Distribution:
    """Whether tables of this database are distributed, as far as this process knows.

    `session` is the class of its sessions. Where tables are distributed, what these write to an audited table is
    written to the audit log as well, which triggers do elsewhere.
    """

    is_distributed: bool = False
    session: type[Session] = field(default_factory=lambda: type("StoresSession", (Session,), {}))
    _asked: int = 0
    _heard: int = 0

    async def look(self, connection: DriverConnection) -> None:
        """Ask the server on a new connection."""
        self._asked += 1
        place = self._asked
        pooled = isinstance(connection, PooledConnection)
        row = await (ask(connection, _LOOK) if pooled else connection.fetchrow(_LOOK))
        assert row is not None
        if place > self._heard:  # an older connection may be answered later
            self._heard = place
            self._become(bool(row["distributed"]))

    def _become(self, distributed: bool) -> None:
        if distributed == self.is_distributed:
            return
        self.is_distributed = distributed
        (event.listen if distributed else event.remove)(self.session, "do_orm_execute", write_to_log)


def write_to_log(state: ORMExecuteState) -> Result[Any] | None:
    """Run a statement that changes an audited table, and write its changes to the audit log in the same transaction.

    The rows are locked before, so that nobody changes them between what is read of them and the statement; and the
    statement changes no others, whatever has come to meet its condition meanwhile. Where there are none, it isn't sent.
    """
    mapper = state.bind_mapper
    if mapper is None or state.is_select or (placement := distribution(mapper.class_)) is None or not placement.audited:
        return None
    table = mapper.local_table
    assert isinstance(table, Table)
    connection = state.session.connection()
    by = table.c[placement.by]
    if state.is_insert:
        keys = _give_keys(state, placement.by)
        statement = state.statement
    else:
        changing: Any = state.statement
        keys = _locked(connection, table, by, changing.whereclause)
        if not keys:
            return IteratorResult(SimpleResultMetaData(["nothing"]), iter(()))
        statement = changing.where(*_among(table.c.id, by, keys))
    of = (table.fullname, placement.by, [id for id, _ in keys if not state.is_insert], sorted({key[1] for key in keys}))
    before = connection.exec_driver_sql(_BEGIN, of).scalar()
    result = state.invoke_statement(statement)
    ids = [id for id, _ in keys]
    connection.exec_driver_sql(_END, (*of[:2], ids, of[3], before))
    return result


async def insert_audited(connection: DriverConnection, table: str, statement: str, *arguments: Any) -> int:
    """Run an INSERT into an audited table that is distributed, and write its rows to the audit log; how many there are.

    On a driver's connection within a transaction, for statements that no session runs. A row that was there before is
    none of them.
    """
    by = DISTRIBUTED[table].by
    before = await connection.fetchval(_BEGIN, table, by, [], [])
    rows = await connection.fetch(f"{statement} RETURNING id, {by}", *arguments)
    await connection.execute(_END, table, by, [row["id"] for row in rows], list({row[by] for row in rows}), before)
    return len(rows)


def _among(id: Any, by: Any, keys: Sequence[tuple[Any, Any]]) -> tuple[ColumnElement[bool], ...]:
    """The condition that a row is one of these."""
    owners = {key[1] for key in keys}
    theirs = by == next(iter(owners)) if len(owners) == 1 else by == func.any(_array(owners))
    return id == func.any(_array(key[0] for key in keys)), theirs


def _locked(connection: Connection, table: Table, by: Any, where: Any) -> list[tuple[Any, Any]]:
    """The keys of the rows that meet a condition, which are locked: for each owner, since a lock must be on one
    shard."""
    rows = select(table.c.id, by).where(where).order_by(table.c.id).with_for_update()
    if _names_one(where, by):
        return [(row[0], row[1]) for row in connection.execute(rows)]
    owners = connection.scalars(select(by).where(where).distinct()).all()
    return [(row[0], row[1]) for owner in sorted(owners) for row in connection.execute(rows.where(by == owner))]


def _names_one(where: Any, by: Any) -> bool:
    """Whether a condition asks for one value of this column, besides others."""
    if isinstance(where, Grouping):
        return _names_one(where.element, by)
    if isinstance(where, BooleanClauseList):
        return where.operator is operators.and_ and any(_names_one(each, by) for each in where.clauses)
    return (
        isinstance(where, BinaryExpression)
        and where.operator is operators.eq
        and bool(where.left.shares_lineage(by))
        and isinstance(where.right, BindParameter)
    )


def _array(values: Iterable[Any]) -> Any:
    return bindparam(None, list(values), type_=ARRAY(UUIDType(as_uuid=True)))


def _give_keys(state: ORMExecuteState, by: str) -> list[tuple[Any, Any]]:
    """Give the rows that an INSERT makes their keys, and return those."""
    rows: Any = state.parameters
    if rows:
        rows = [rows] if isinstance(rows, dict) else rows
        for row in rows:
            row.setdefault("id", new_id())
        return [(row["id"], row[by]) for row in rows]
    statement: Any = state.statement
    values = statement.compile().params
    if values.get("id") is None:
        values["id"] = new_id()
        state.statement = statement.values(id=values["id"])
    return [(values["id"], values[by])]
