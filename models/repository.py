"""Reads and writes of one PostgreSQL table."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import asyncpg
from sqlalchemy import ColumnElement, Executable, Row, Select, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.util import greenlet_spawn

from models.base import Base

M = TypeVar("M", bound=Base)

Where = ColumnElement[bool]


class PostgresRepository(Generic[M]):
    """The rows of one table with `id` and `deleted_at`. Soft-deleted ones are ignored unless `include_deleted` is
    given.

    Every method is one statement, and errors of the driver come through as they are. Outside a transaction, reads
    run on `reads`, an autocommit view of the engine: no BEGIN, and the connection is back in the pool when they
    return; writes are committed when they return. Entities are detached. `sort` names columns, with a `-` in
    front for descending (`["-created_at"]`); ties are broken by `id`.
    """

    def __init__(
        self,
        model: type[M],
        reads: AsyncEngine,
        sessions: async_sessionmaker[AsyncSession],
        session: AsyncSession | None = None,
    ) -> None:
        self.model = model
        self._columns = model.__table__.c
        self._reads = reads
        self._sessions = sessions
        self._session = session

    @property
    def session(self) -> AsyncSession:
        """The session of the running transaction, for other statements. Raises RuntimeError outside of one."""
        if self._session is None:
            raise RuntimeError(f"no transaction is running on {self.model.__name__}")
        return self._session

    def within(self, session: AsyncSession) -> PostgresRepository[M]:
        """This repository inside the transaction of another: `avatars.within(tx.session)`."""
        return PostgresRepository(self.model, self._reads, self._sessions, session)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresRepository[M]]:
        """One transaction on one session: leaving the block commits, any error (cancellation too) rolls back.

        Inside a transaction, it joins the running one. Its methods must not be called concurrently.
        """
        async with self._block() as session:
            yield self.within(session)

    async def find_by_id(self, id: uuid.UUID, *, include_deleted: bool = False) -> M | None:
        """The entity of that id."""
        return await self.find_one(self._columns.id == id, include_deleted=include_deleted)

    async def find_one(self, where: Where, *, include_deleted: bool = False) -> M | None:
        """Any one entity that matches."""
        found = await self.find_all(where, limit=1, include_deleted=include_deleted)
        return found[0] if found else None

    async def find_all(
        self,
        where: Where | None = None,
        *,
        sort: Sequence[str] = (),
        skip: int = 0,
        limit: int | None = None,
        include_deleted: bool = False,
    ) -> list[M]:
        """Every entity that matches."""
        order = self._order(sort, paged=bool(skip) or (limit or 0) > 1)
        statement = self._select(select(self.model), where, order, skip, limit, include_deleted)
        if self._session is not None:
            return await self._entities(self._session, statement)
        async with AsyncSession(self._reads, expire_on_commit=False) as session:
            return await self._entities(session, statement)

    async def read(
        self,
        columns: Sequence[str],
        *,
        where: Where | None = None,
        order_by: Sequence[ColumnElement[Any]] = (),
        limit: int | None = None,
        skip: int = 0,
        include_deleted: bool = False,
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """Matching rows with the named columns only, in their order; no entities.

        Raises KeyError for a column that the table doesn't have.
        """
        chosen = select(*[self._columns[name] for name in columns])
        return await self.read_statement(self._select(chosen, where, order_by, skip, limit, include_deleted))

    async def read_statement(self, statement: Executable) -> Sequence[Row[*tuple[Any, ...]]]:
        """The rows of a statement. The statement must leave out soft-deleted rows itself."""
        if self._session is not None:
            return (await self._session.execute(statement)).all()
        try:
            return await greenlet_spawn(self._read, statement)
        except DBAPIError as error:
            stale = error.orig is not None and isinstance(error.orig.__cause__, asyncpg.InvalidCachedStatementError)
            if not (error.connection_invalidated or stale):
                raise
            # The server has closed the connection, and the pool has dropped the others; or a column's type has changed,
            # and SQLAlchemy has dropped its prepared statements. A read is safe to repeat, and repeating one now and
            # then is cheaper than a ping for each checkout.
            return await greenlet_spawn(self._read, statement)

    def _read(self, statement: Executable) -> Sequence[Row[*tuple[Any, ...]]]:
        """Read in one greenlet. AsyncConnection would use three (connect, execute, close), a tenth of a read's time."""
        with self._reads.sync_engine.connect() as connection:
            rows = connection.execute(statement).all()
            connection.commit()  # commits a statement that writes where there is no autocommit; else nothing is sent
            return rows

    async def count(self, where: Where | None = None, *, include_deleted: bool = False) -> int:
        """How many rows match."""
        statement = select(func.count()).select_from(self.model)
        rows = await self.read_statement(self._select(statement, where, (), 0, None, include_deleted))
        return int(rows[0][0])

    async def create(self, values: Mapping[str, Any]) -> M:
        """A new row of these values by column; the rest takes its defaults. Raises IntegrityError."""
        async with self._block() as session:
            statement = insert(self.model).values(**values).returning(self.model)
            return (await self._entities(session, statement))[0]

    async def update(self, id: uuid.UUID, values: Mapping[str, Any], *, where: Where | None = None) -> M | None:
        """The entity after one atomic change, or None where no live one of that id matches `where`.

        `updated_at` is set by the table's trigger; the one expected before goes into `where`. Without values
        nothing is written. Raises IntegrityError.
        """
        condition = self._one(id, where)
        if not values:
            return await self.find_one(condition)
        statement = (
            update(self.model)
            .where(condition, self._columns.deleted_at.is_(None))
            .values(**values)
            .returning(self.model)
        )
        async with self._block() as session:
            found = await self._entities(session, statement)
            return found[0] if found else None

    async def delete(self, id: uuid.UUID) -> bool:
        """Remove the row for good, deleted or not. False where there was none. Raises IntegrityError."""
        return await self._touched(delete(self.model).where(self._one(id)).returning(self._columns.id))

    async def soft_delete(self, id: uuid.UUID, *, where: Where | None = None) -> bool:
        """Mark a live row as deleted. False where no live one of that id matches `where`."""
        return await self._touched(
            update(self.model)
            .where(self._one(id, where), self._columns.deleted_at.is_(None))
            .values(deleted_at=func.now())
            .returning(self._columns.id)
        )

    async def restore(self, id: uuid.UUID, *, where: Where | None = None) -> bool:
        """Bring a soft-deleted row back. False where no deleted one of that id matches `where`."""
        return await self._touched(
            update(self.model)
            .where(self._one(id, where), self._columns.deleted_at.is_not(None))
            .values(deleted_at=None)
            .returning(self._columns.id)
        )

    @contextlib.asynccontextmanager
    async def _block(self) -> AsyncIterator[AsyncSession]:
        """The running transaction's session, or a new one that commits on leaving."""
        if self._session is not None:
            yield self._session
        else:
            async with self._sessions.begin() as session:
                yield session

    async def _entities(self, session: AsyncSession, statement: Executable) -> list[M]:
        """Detached entities, so that two results for one row are two objects."""
        result = await session.scalars(statement, execution_options={"synchronize_session": False})
        entities: list[M] = list(result)
        for entity in entities:
            session.expunge(entity)
        return entities

    async def _touched(self, statement: Executable) -> bool:
        async with self._block() as session:
            result = await session.scalars(statement, execution_options={"synchronize_session": False})
            return result.one_or_none() is not None

    def _one(self, id: uuid.UUID, where: Where | None = None) -> Where:
        condition: Where = self._columns.id == id
        return condition if where is None else condition & where

    def _select(
        self,
        statement: Select[*tuple[Any, ...]],
        where: Where | None,
        order: Sequence[ColumnElement[Any]],
        skip: int,
        limit: int | None,
        include_deleted: bool,
    ) -> Select[*tuple[Any, ...]]:
        if where is not None:
            statement = statement.where(where)
        if not include_deleted:
            statement = statement.where(self._columns.deleted_at.is_(None))
        if order:
            statement = statement.order_by(*order)
        if skip:
            statement = statement.offset(skip)
        return statement if limit is None else statement.limit(limit)

    def _order(self, sort: Sequence[str], *, paged: bool) -> list[ColumnElement[Any]]:
        """A page needs a total order, so ties go by `id`, in the last key's direction, as the indexes can."""
        keys = [*sort]
        if (keys or paged) and not {"id", "-id"}.intersection(keys):
            keys.append("-id" if keys and keys[-1].startswith("-") else "id")
        columns = [(self._columns[key.removeprefix("-")], key.startswith("-")) for key in keys]
        return [column.desc() if descending else column.asc() for column, descending in columns]
