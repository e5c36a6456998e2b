"""What differs where PostgreSQL is the coordinator of a Citus cluster, over which tables are distributed.

Whether they are is asked on the first connection, and again after PostgreSQL has refused a write because of it. On one
PostgreSQL nothing of this module is called after that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import (
    Connection,
    ExceptionContext,
    Result,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    event,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as UUIDType
from sqlalchemy.orm import ORMExecuteState, Session

from models.base import new_id
from models.distribution import distribution
from models.external_pooler import Connection as DriverConnection
from models.external_pooler import ask

_LOOK: Final = """
    SELECT count(*) > 0 AS distributed FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = 'shared' AND relname = 'distribution'
"""
"""From the catalog, which needs no right to the schema."""
_REFUSED: Final = "57P03"
"""What a write is refused with that isn't written to the audit log; see migrations/distribution_sql.py."""
_TELL: Final = "SET LOCAL app.audited = 'on'"
_IN_UTC: Final = "SET LOCAL timezone = 'UTC'"
"""As in every session of this API, which workers know nothing of. By it the log writes moments."""
_RECORD: Final = text(
    "SELECT audit.record_distributed(:changed, CAST(:before AS jsonb[]), CAST(:after AS jsonb[]))"
).bindparams(bindparam("before", type_=ARRAY(Text)), bindparam("after", type_=ARRAY(Text)))


@dataclass(slots=True)
class Distribution:
    """Whether tables of this database are distributed, as far as this process knows.

    `session` is the class of its sessions. Where tables are distributed, what these write to an audited table is
    written to the audit log as well, which triggers do elsewhere.
    """

    is_distributed: bool = False
    session: type[Session] = field(default_factory=lambda: type("StoresSession", (Session,), {}))

    async def look(self, connection: DriverConnection) -> None:
        """Ask the server on a new connection."""
        self._become((await ask(connection, _LOOK))["distributed"])

    def asking_again(self, look_again: Callable[[], None]) -> Callable[[ExceptionContext], None]:
        """A listener to errors, which has PostgreSQL asked again where it refuses a write to a distributed table."""

        def listen(context: ExceptionContext) -> None:
            error = context.original_exception
            if getattr(error, "sqlstate", None) == _REFUSED and "is distributed" in str(error):
                look_again()

        return listen

    def _become(self, distributed: bool) -> None:
        if distributed == self.is_distributed:
            return
        self.is_distributed = distributed
        (event.listen if distributed else event.remove)(self.session, "do_orm_execute", write_to_log)


def write_to_log(state: ORMExecuteState) -> Result[Any] | None:
    """Run a statement that changes an audited table, and write its changes to the audit log in the same transaction.

    The rows are locked before, so that nobody changes them between what is read of them and the statement.
    """
    mapper = state.bind_mapper
    if mapper is None or state.is_select or (placement := distribution(mapper.class_)) is None or not placement.audited:
        return None
    table = mapper.local_table
    assert isinstance(table, Table)
    connection = state.session.connection()
    connection.exec_driver_sql(_TELL)
    connection.exec_driver_sql(_IN_UTC)
    by = table.c[placement.by]
    if state.is_insert:
        before: dict[Any, Any] = {}
        keys = _give_keys(state, placement.by)
    else:
        criteria: Any = state.statement
        before = _locked(connection, table, by, criteria.whereclause)
        keys = [(id, row[1]) for id, row in before.items()]
    result = state.invoke_statement()
    after = {} if not keys else {row[0]: row for row in connection.execute(_of_keys(table, by, keys))}
    ids = [id for id, _ in keys if id in before or id in after]
    if ids:
        connection.execute(
            _RECORD,
            {
                "changed": table.fullname,
                "before": [before[id][2] if id in before else None for id in ids],
                "after": [after[id][2] if id in after else None for id in ids],
            },
        )
    return result


def _rows(table: Table, by: Any) -> Select[Any]:
    """Key, shard key, and the whole row as JSON, as a trigger sees it."""
    columns = (pair for column in table.columns for pair in (column.key, column))
    return select(table.c.id, by, cast(func.jsonb_build_object(*columns), Text))


def _locked(connection: Connection, table: Table, by: Any, where: Any) -> dict[Any, Any]:
    """The rows that meet a condition, by key, locked: for each owner, since a lock must be on one shard."""
    owners = connection.scalars(select(by).where(where).distinct()).all()
    found: dict[Any, Any] = {}
    for owner in sorted(owners):
        locked = _rows(table, by).where(where, by == owner).with_for_update()
        found.update({row[0]: row for row in connection.execute(locked)})
    return found


def _of_keys(table: Table, by: Any, keys: Sequence[tuple[Any, Any]]) -> Select[Any]:
    ids, owners = ({each[place] for each in keys} for place in (0, 1))
    return _rows(table, by).where(table.c.id == func.any(_array(ids)), by == func.any(_array(owners)))


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
