"""Compiled SELECTs: compiled once by SQLAlchemy, then run on the driver's connection without its overhead.

A statement is written in SQLAlchemy Core over the models' tables, with a `bindparam` for every value that changes
between runs. Its rows are the driver's records, without a copy; columns are attributes, as in SQLAlchemy's rows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, Final, NoReturn

import asyncpg
from sqlalchemy import ARRAY, BindParameter, Dialect, Select, bindparam, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import TypeEngine

from models.connection_pool import ConnectionPool, PoolEntry
from models.external_pooler import is_pooled

Record = Any
"""A row: `row.first_name`."""

_PATIENCE: Final = 1.0
"""Seconds that a connection gets to be ready again after a cancellation, before it is dropped."""

_DRIVER_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError)

DIALECT: Final[Dialect] = make_url("postgresql+asyncpg://").get_dialect()()
"""The dialect for which statements are compiled, without asking a server."""

First = Callable[[], tuple[str, tuple[Any, ...]]]
"""The SQL and the arguments with which a transaction begins. Asked for when there is a connection, since it may
depend on the server."""

Processor = Callable[[Any], Any]

Around = Callable[[str, Callable[[], Awaitable[list[Record]]]], Awaitable[list[Record]]]
"""Called in place of the driver, with a statement's SQL and what sends it: it returns the rows that this gives."""


class Parameters:
    """Makes the parameters of one statement: the nth taken one gets the nth value."""

    def __init__(self) -> None:
        self._taken = 0

    def take(self, type_: TypeEngine[Any]) -> BindParameter[Any]:
        """The next parameter, of this type."""
        self._taken += 1
        return bindparam(f"p{self._taken - 1}", type_=type_)


@dataclass(frozen=True, slots=True)
class Statement:
    """A compiled SELECT. `order` has the index of the value for each argument; negative numbers are constants."""

    sql: str
    order: tuple[int, ...]
    constants: tuple[Any, ...]
    processors: tuple[Processor | None, ...]
    record: type[asyncpg.Record]
    as_given: bool
    """Whether the values can be passed to the driver as they are."""

    def arguments(self, values: Sequence[Any]) -> Sequence[Any]:
        """The driver's arguments for these values."""
        if self.as_given:  # without those that the compiler left out, such as in conditions that are always true
            return values[: len(self.order)]
        if self.constants:
            values = [*values, *self.constants]
        return [
            values[index] if processor is None else processor(values[index])
            for index, processor in zip(self.order, self.processors, strict=True)
        ]


def compile_select(statement: Select[Any]) -> Statement:
    """Compile a statement whose parameters come from `Parameters`. Literal values in it become constants."""
    compiled: Any = statement.compile(dialect=DIALECT)
    names: list[str] = compiled.positiontup or []
    literals = [name for name in names if compiled.binds[name].required is False]
    order = {name: index - len(literals) for index, name in enumerate(literals)}
    arguments = tuple(order[name] if name in order else int(name[1:]) for name in names)
    processors = tuple(_bind_processor(compiled.binds[name].type) for name in names)
    return Statement(
        sql=str(compiled),
        order=arguments,
        constants=tuple(compiled.binds[name].effective_value for name in literals),
        processors=processors,
        record=_record_class([(str(column.key), column.type) for column in statement.selected_columns]),
        as_given=arguments == tuple(range(len(names))) and not any(processors),
    )


def _bind_processor(type_: TypeEngine[Any]) -> Processor | None:
    if isinstance(type_, ARRAY) and _bind_processor(type_.item_type) is None:
        return None  # it would only copy the list
    processor: Processor | None = type_.dialect_impl(DIALECT).bind_processor(DIALECT)
    return processor


def _record_class(columns: Sequence[tuple[str, TypeEngine[Any]]]) -> type[asyncpg.Record]:
    """A class of rows whose columns are attributes, too.

    Raises TypeError for column types whose values SQLAlchemy would convert, since rows are read as they are.
    """
    attributes: dict[str, Any] = {"__slots__": ()}
    for index, (name, type_) in enumerate(columns):
        if type_.dialect_impl(DIALECT).result_processor(DIALECT, None) is not None:
            raise TypeError(f"the driver's {type_!r} is not the value itself, in the column {name}")
        attributes[name] = property(itemgetter(index))
    return type("Row", (asyncpg.Record,), attributes)


class StatementRunner:
    """Runs compiled statements on connections of an engine's pool. `listeners` are called with the SQL of each.

    A statement alone is no transaction, except behind a pooler (models/external_pooler.py). A read is repeated once
    where the server had closed the connection.
    """

    def __init__(self, engine: AsyncEngine, listeners: Iterable[Callable[[str], None]] = ()) -> None:
        self._engine = engine.sync_engine
        self._transacts = is_pooled(engine)
        self.listeners = [*listeners]
        self._run = self._read

    def observe(self, around: Around | None) -> None:
        """Have every statement sent by `around` from now on; None: by nobody but the driver."""
        self._run = self._read if around is None else partial(self._read_observed, around)

    async def fetch(self, statement: Statement, values: Sequence[Any], first: First | None = None) -> list[Record]:
        """The rows of a statement. With `first`, both run in one transaction.

        Raises SQLAlchemy's DBAPIError around what the driver raises, SQLAlchemy's TimeoutError where the pool is
        exhausted, TimeoutError and OSError.
        """
        arguments = statement.arguments(values)
        pool = self._pool
        transacts = self._transacts or first is not None
        repeated = False
        while True:
            entry = await pool.take()
            try:
                driver = entry.driver_connection
                try:
                    rows = await self._run(driver, statement, arguments, first)
                except asyncpg.InvalidCachedStatementError:  # a column's type has changed since it was prepared
                    if transacts:
                        await driver.execute("ROLLBACK")
                else:
                    # asyncpg, outside of transactions, repeats it by itself and forgets the class of the rows
                    if not rows or type(rows[0]) is statement.record:
                        return rows
                return await self._run(driver, statement, arguments, first)
            except BaseException as error:
                lost = await _recover(pool, entry, error, began=transacts)
                # the pool has dropped its other old connections with this one; see PostgresRepository.read_statement
                if not lost or repeated:
                    _raise(error, statement, lost=lost)
                repeated = True
            finally:
                await pool.give_back(entry)

    async def _read(
        self, driver: Any, statement: Statement, arguments: Sequence[Any], first: First | None
    ) -> list[Record]:
        transacts = self._transacts or first is not None
        if transacts:
            await self._begin(driver, first)
        for listener in self.listeners:
            listener(statement.sql)
        rows: list[Record] = await driver.fetch(statement.sql, *arguments, record_class=statement.record)
        if transacts:
            await driver.execute("COMMIT")
        return rows

    async def _read_observed(
        self, around: Around, driver: Any, statement: Statement, arguments: Sequence[Any], first: First | None
    ) -> list[Record]:
        return await self._read(_Observed(driver, around), statement, arguments, first)

    async def _begin(self, driver: Any, first: First | None) -> None:
        await driver.execute("BEGIN")
        if first is None:
            return
        sql, arguments = first()
        for listener in self.listeners:
            listener(sql)
        await driver.fetch(sql, *arguments)

    @property
    def _pool(self) -> ConnectionPool:
        pool = self._engine.pool
        assert isinstance(pool, ConnectionPool)
        return pool


class _Observed:
    """A connection of the driver's whose statements are sent by somebody else."""

    __slots__ = ("_around", "_driver", "execute")

    def __init__(self, driver: Any, around: Around) -> None:
        self._driver, self._around = driver, around
        self.execute = driver.execute

    async def fetch(self, sql: str, *arguments: Any, **options: Any) -> list[Record]:
        return await self._around(sql, partial(self._driver.fetch, sql, *arguments, **options))


async def _recover(pool: ConnectionPool, entry: PoolEntry, error: BaseException, *, began: bool) -> bool:
    """Make a connection usable again after an error, or drop it. Returns whether it was lost."""
    if pool.is_lost(entry, error):
        pool.lose(entry, error)
        return isinstance(error, Exception)
    if not await _is_ready(entry.driver_connection, error, began=began):
        entry.invalidate(error)
    return False


async def _is_ready(driver: Any, error: BaseException, *, began: bool) -> bool:
    """Whether a connection can be used again after this error, once it is rolled back if it `began` a transaction.

    After a cancellation, the driver makes the server cancel the statement, which takes a moment. After a timeout of the
    driver, the server isn't waited for.
    """
    if isinstance(error, TimeoutError):
        return False
    if isinstance(error, Exception) and not began:
        return True
    try:
        await driver.execute("ROLLBACK" if began else "SELECT 1", timeout=_PATIENCE)
    except BaseException:  # a second cancellation, too: the first one is what is raised
        return False
    return True


def _raise(error: BaseException, statement: Statement, *, lost: bool) -> NoReturn:
    if lost or isinstance(error, _DRIVER_ERRORS):
        raise DBAPIError(statement.sql, None, error, hide_parameters=True, connection_invalidated=lost) from error
    raise error
