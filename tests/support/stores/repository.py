"""What the repositories of both stores promise alike.

mypy holds them to the signatures, and `tests/stores/test_repository.py` to the rest.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from bson import ObjectId
from sqlalchemy import ColumnElement

import documents
import models
from documents.repository import MongoRepository
from models.repository import PostgresRepository

Entity = TypeVar("Entity", covariant=True)
Id = TypeVar("Id", contravariant=True)
Where = TypeVar("Where", contravariant=True)


class Repository(Protocol[Entity, Id, Where]):
    """The entities of one table or collection.

    What is soft-deleted is as if absent, to writes as well, unless `include_deleted` is given. `sort` names
    fields as they are stored, `-` in front for descending. Every method is one statement, and atomic; errors of
    the driver come through as they are.
    """

    async def find_by_id(self, id: Id, *, include_deleted: bool = False) -> Entity | None:
        """The entity of that id."""
        ...

    async def find_one(self, where: Where, *, include_deleted: bool = False) -> Entity | None:
        """Any one entity that matches."""
        ...

    async def find_all(
        self,
        where: Where | None = None,
        *,
        sort: Sequence[str] = (),
        skip: int = 0,
        limit: int | None = None,
        include_deleted: bool = False,
    ) -> Sequence[Entity]:
        """Every entity that matches."""
        ...

    async def count(self, where: Where | None = None, *, include_deleted: bool = False) -> int:
        """How many entities match."""
        ...

    async def create(self, values: Mapping[str, Any]) -> Entity:
        """A new entity of these values; the rest takes its defaults."""
        ...

    async def update(self, id: Id, values: Mapping[str, Any], *, where: Where | None = None) -> Entity | None:
        """The entity after one atomic change, or None where no live one of that id matches `where`."""
        ...

    async def delete(self, id: Id) -> bool:
        """Remove the entity for good, deleted or not. False where there was none."""
        ...

    async def soft_delete(self, id: Id, *, where: Where | None = None) -> bool:
        """Mark a live entity as deleted. False where no live one of that id matches `where`."""
        ...

    async def restore(self, id: Id, *, where: Where | None = None) -> bool:
        """Bring a soft-deleted entity back. False where no deleted one of that id matches `where`."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Self]:
        """This repository inside one transaction: leaving it commits, any error rolls back."""
        ...


if TYPE_CHECKING:

    def _postgres(
        users: PostgresRepository[models.User],
    ) -> Repository[models.User, uuid.UUID, ColumnElement[bool]]:
        return users

    def _mongo(
        designs: MongoRepository[documents.Design],
    ) -> Repository[documents.Design, ObjectId, Mapping[str, Any]]:
        return designs
