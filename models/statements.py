"""SELECTs without SQLAlchemy's execution around them: compiled once, then run on the driver's own connection.

A statement is written in SQLAlchemy Core over the models' tables, with a `bindparam` for everything that differs from
one run to the next. Its rows are the driver's records, read by attribute as SQLAlchemy's are, and not copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import asyncpg
from sqlalchemy import BindParameter, Dialect, Select, bindparam, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import TypeEngine

from models.pool import ConnectionPool

Record = Any
"""A row: `row.first_name`."""

_PATIENCE: Final = 1.0
"""Seconds that a connection gets to be ready again after a cancellation, before it is dropped."""

_DRIVER_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError)

DIALECT: Final[Dialect] = make_url("postgresql+asyncpg://").get_dialect()()
"""What statements are compiled for: no server is asked."""

Processor = Callable[[Any], Any]


class Parameters:
    """Makes the parameters of one statement: the nth one that is taken stands for the nth value."""

    def __init__(self) -> None:
        self._taken = 0

    def take(self, type_: TypeEngine[Any]) -> BindParameter[Any]:
        """The next parameter, of this type."""
        self._taken += 1
        return bindparam(f"p{self._taken - 1}", type_=type_)


@dataclass(frozen=True, slots=True)
class Statement:
    """A compiled SELECT. `order` says which value each argument of the driver is; negative numbers are constants."""

    sql: str
    order: tuple[int, ...]
    constants: tuple[Any, ...]
    processors: tuple[Processor | None, ...]
    record: type[asyncpg.Record]

    def arguments(self, values: Sequence[Any]) -> list[Any]:
        """What the driver takes, of the values of the parameters."""
        if self.constants:
            values = [*values, *self.constants]
        return [
            values[index] if processor is None else processor(values[index])
            for index, processor in zip(self.order, self.processors, strict=True)
        ]


def compile_select(statement: Select[Any]) -> Statement:
    """The SQL of a statement whose parameters come from `Parameters`. Literal values in it stay as they are."""
    compiled: Any = statement.compile(dialect=DIALECT)
    names: list[str] = compiled.positiontup or []
    literals = [name for name in names if compiled.binds[name].required is False]
    order = {name: index - len(literals) for index, name in enumerate(literals)}
    return Statement(
        sql=str(compiled),
        order=tuple(order[name] if name in order else int(name[1:]) for name in names),
        constants=tuple(compiled.binds[name].effective_value for name in literals),
        processors=tuple(compiled.binds[name].type.dialect_impl(DIALECT).bind_processor(DIALECT) for name in names),
        record=_record_class([(str(column.key), column.type) for column in statement.selected_columns]),
    )


def _record_class(columns: Sequence[tuple[str, TypeEngine[Any]]]) -> type[asyncpg.Record]:
    """A class of rows whose columns are attributes, passed through their type's processor where it has one."""
    attributes: dict[str, Any] = {"__slots__": ()}
    for index, (name, type_) in enumerate(columns):
        processor: Processor | None = type_.dialect_impl(DIALECT).result_processor(DIALECT, None)
        attributes[name] = property(_processed(index, processor) if processor else itemgetter(index))
    return type("Row", (asyncpg.Record,), attributes)


def _processed(index: int, processor: Processor) -> Callable[[Any], Any]:
    return lambda row: processor(row[index])


class StatementRunner:
    """Runs compiled statements on connections of an engine's pool. `listeners` hear the SQL of each before it is sent.

    A statement alone is no transaction. A read is repeated once where the server had closed the connection.
    """

    def __init__(self, engine: AsyncEngine, listeners: Iterable[Callable[[str], None]] = ()) -> None:
        self._engine = engine.sync_engine
        self.listeners = [*listeners]

    async def fetch(
        self, statement: Statement, values: Sequence[Any], *, first: tuple[str, Sequence[Any]] | None = None
    ) -> list[Record]:
        """The rows. `first` is SQL with arguments that begins a transaction around the statement.

        Raises SQLAlchemy's DBAPIError around what the driver raises, SQLAlchemy's TimeoutError where the pool is
        exhausted, TimeoutError and OSError.
        """
        arguments = statement.arguments(values)
        try:
            return await self._fetch(statement, arguments, first)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            # the pool has dropped its other old connections with this one; see PostgresRepository.read_statement
            return await self._fetch(statement, arguments, first)

    async def _fetch(
        self, statement: Statement, arguments: Sequence[Any], first: tuple[str, Sequence[Any]] | None
    ) -> list[Record]:
        pool = self._pool
        connection = await pool.take()
        driver: Any = connection.driver_connection
        try:
            if first is not None:
                await driver.execute("BEGIN")
                sql, first_arguments = first
                self._tell(sql)
                await driver.fetch(sql, *first_arguments)
            self._tell(statement.sql)
            rows: list[Record] = await driver.fetch(statement.sql, *arguments, record_class=statement.record)
            if first is not None:
                await driver.execute("COMMIT")
            return rows
        except BaseException as error:
            lost = driver.is_closed()
            if lost:
                pool.lose(connection, error)
            elif not await _is_ready(driver, error, began=first is not None):
                connection.invalidate(error)
            if isinstance(error, Exception) and (lost or isinstance(error, _DRIVER_ERRORS)):
                raise DBAPIError(
                    statement.sql, None, error, hide_parameters=True, connection_invalidated=lost
                ) from error
            raise
        finally:
            await pool.give_back(connection)

    @property
    def _pool(self) -> ConnectionPool:
        pool = self._engine.pool
        assert isinstance(pool, ConnectionPool)
        return pool

    def _tell(self, sql: str) -> None:
        for listener in self.listeners:
            listener(sql)


async def _is_ready(driver: Any, error: BaseException, *, began: bool) -> bool:
    """Whether a connection can be used again after this error, once it is rolled back if it `began` a transaction.

    After a cancellation the driver has the server cancel the statement, which takes a moment. A server that has let
    the driver's time run out is not waited for.
    """
    if isinstance(error, TimeoutError):
        return False
    if isinstance(error, Exception) and not began:
        return True
    try:
        await driver.execute("ROLLBACK" if began else ";", timeout=_PATIENCE)
    except BaseException:  # a second cancellation, too: the first one is what is raised
        return False
    return True
