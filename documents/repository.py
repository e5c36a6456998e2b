"""Reads and writes of one MongoDB collection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from documents.base import Stored, utc_now
from documents.filters import Where, live, sort_keys
from documents.reading import run_at_once, set_timezone

D = TypeVar("D", bound=Stored)

BATCH: Final = 1000
"""The most documents in a reply where there is no limit, so that ordinary reads take one command."""
FEW: Final = 50
"""Documents in a reply that isn't large, however long they are. A large one is decoded in pieces, or read in batches of
so many."""

VALIDATION_FAILURE: Final = 121
ILLEGAL_OPERATION: Final = 20
"""How a standalone server refuses a transaction."""


class TransactionsUnsupported(RuntimeError):
    """The MongoDB server has no transactions: it is neither a replica set member nor a mongos."""


class MongoRepository(Generic[D]):
    """The documents of one collection. Soft-deleted ones are ignored unless `include_deleted` is given.

    Every method is one command, and errors of the driver come through as they are. `sort` names stored fields,
    with a `-` in front for descending (`["-createdAt"]`); ties are broken by `_id`. The document class must have
    been given to `init_beanie`.
    """

    def __init__(
        self,
        document: type[D],
        database: AsyncDatabase[dict[str, Any]],
        session: AsyncClientSession | None = None,
    ) -> None:
        self.document = document
        self._database = database
        self._session = session

    @property
    def collection(self) -> AsyncCollection[dict[str, Any]]:
        """The collection itself, for other commands. Inside a transaction, pass them the `session`."""
        return self._database[self.document.get_collection_name()]

    @property
    def session(self) -> AsyncClientSession:
        """The session of the running transaction. Raises RuntimeError outside of one."""
        if self._session is None:
            raise RuntimeError(f"no transaction is running on {self.document.__name__}")
        return self._session

    def within(self, session: AsyncClientSession) -> MongoRepository[D]:
        """This repository inside the transaction of another: `designs.within(tx.session)`."""
        return MongoRepository(self.document, self._database, session)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[MongoRepository[D]]:
        """One transaction on one session: leaving the block commits, any error (cancellation too) rolls back.

        Inside a transaction, it joins the running one. Its methods must not be called concurrently. Raises
        TransactionsUnsupported where the server has none.
        """
        if self._session is not None:
            yield self
            return
        session = self._database.client.start_session()
        try:
            await session.start_transaction()
            yield self.within(session)
        except BaseException as error:
            await asyncio.shield(_end(session, commit=False))
            if isinstance(error, OperationFailure) and error.code == ILLEGAL_OPERATION:
                raise TransactionsUnsupported(
                    "MongoDB must run as a replica set: a standalone server has no transactions"
                ) from error
            raise
        await asyncio.shield(_end(session, commit=True))

    async def find_by_id(self, id: ObjectId, *, include_deleted: bool = False) -> D | None:
        """The document of that id. Raises pydantic's ValidationError where a stored one breaks the model."""
        return await self.find_one({"_id": id}, include_deleted=include_deleted)

    async def find_one(self, where: Where, *, include_deleted: bool = False) -> D | None:
        """Any one document that matches."""
        found = await self.collection.find_one(live(where, include_deleted), session=self._session)
        return None if found is None else self._entity(found)

    async def find_all(
        self,
        where: Where | None = None,
        *,
        sort: Sequence[str] = (),
        skip: int = 0,
        limit: int | None = None,
        include_deleted: bool = False,
    ) -> list[D]:
        """Every document that matches."""
        found = await self.read(None, where=where, sort=sort, skip=skip, limit=limit, include_deleted=include_deleted)
        return [self._entity(document) for document in found]

    async def read(
        self,
        projection: Mapping[str, Any] | Iterable[str] | None,
        *,
        where: Where | None = None,
        sort: Sequence[str] = (),
        skip: int = 0,
        limit: int | None = None,
        include_deleted: bool = False,
    ) -> list[dict[str, Any]]:
        """Matching documents as stored, with the projected fields only; nothing is validated.

        One command as long as the reply stays under MongoDB's 16 MB (and 1000 documents where there is no limit).
        """
        if limit == 0:
            return []  # to MongoDB, 0 is no limit
        where, order = live(where or {}, include_deleted), sort_keys(sort, paged=bool(skip or limit))
        batch = limit or BATCH
        if self._session is None and (projection is None or isinstance(projection, Mapping)):
            command: dict[str, Any] = {"find": self.document.get_collection_name(), "filter": where}
            if projection is not None:
                command["projection"] = projection
            if order:
                command["sort"] = dict(order)
            if skip:
                command["skip"] = skip
            if limit:
                command["limit"] = limit
            command["batchSize"] = batch
            times = self._times(projection)
            large = not isinstance(where.get("_id"), ObjectId) and batch > FEW
            found = await run_at_once(self._database, command, naive=times is not None, large=large)
            if found is not None:
                set_timezone(found, times or ())
                return found
            batch = FEW
        cursor = self.collection.find(
            where,
            projection,
            sort=order,
            skip=skip,
            limit=limit or 0,
            batch_size=batch,
            session=self._session,
        )
        return await cursor.to_list()

    async def aggregate(self, pipeline: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The result of a pipeline. The pipeline must leave out soft-deleted documents itself."""
        cursor = await self.collection.aggregate(pipeline, batchSize=BATCH, session=self._session)
        return await cursor.to_list()

    async def read_by_owner(
        self, field: str, owners: Sequence[str], pipeline: Sequence[Mapping[str, Any]]
    ) -> dict[str, list[dict[str, Any]]]:
        """The result of a pipeline for each owner, over the documents whose `field` is (or contains) the owner. One
        command.

        It does a lookup for each owner, so that each can stop at its `$limit` in an index. Needs MongoDB 5.1 or later.
        """
        lookup = {
            "from": self.document.get_collection_name(),
            "localField": "_id",
            "foreignField": field,
            "pipeline": pipeline,
            "as": "found",
        }
        stages: list[Mapping[str, Any]] = [
            {"$documents": [{"_id": owner} for owner in owners]},
            {"$lookup": lookup},
        ]
        found = None
        if self._session is None:
            times = self._times(pipeline[-1].get("$project"))
            command = {"aggregate": 1, "pipeline": stages, "cursor": {"batchSize": BATCH}}
            found = await run_at_once(self._database, command, naive=times is not None, large=len(owners) > 1)
            if times and found is not None:
                for document in found:
                    set_timezone(document["found"], times)
        if found is None:
            cursor = await self._database.aggregate(stages, batchSize=BATCH, session=self._session)
            found = await cursor.to_list()
        return {document["_id"]: document["found"] for document in found}

    async def read_by_values(
        self, fields: Mapping[str, str], values: Sequence[tuple[str, str]], pipeline: Sequence[Mapping[str, Any]]
    ) -> list[list[dict[str, Any]]]:
        """The result of a pipeline for each value, over the documents whose field is (or contains) it. One command.

        `fields` are by short names, and a value is one of these with a text.
        """
        # False is in none of the fields; a missing value would find the documents without the field
        asked = [
            {"_id": number, **{name: value if name == kind else False for name in fields}}
            for number, (kind, value) in enumerate(values)
        ]
        lookups: list[Mapping[str, Any]] = [
            {
                "$lookup": {
                    "from": self.document.get_collection_name(),
                    "localField": name,
                    "foreignField": field,
                    "pipeline": pipeline,
                    "as": f"found_{name}",
                }
            }
            for name, field in fields.items()
        ]
        stages: list[Mapping[str, Any]] = [{"$documents": asked}, *lookups]
        cursor = await self._database.aggregate(stages, batchSize=BATCH, session=self._session)
        found = {each["_id"]: each for each in await cursor.to_list()}
        return [found[number][f"found_{kind}"] for number, (kind, _) in enumerate(values)]

    def _times(self, projection: Mapping[str, Any] | None) -> frozenset[str] | None:
        """The times among the projected fields; None where the projected parts may hold others."""
        if projection is None or not self.document.open_parts.isdisjoint(projection):
            return None
        return self.document.times.intersection(projection)

    async def count(self, where: Where | None = None, *, include_deleted: bool = False) -> int:
        """How many documents match."""
        return await self.collection.count_documents(live(where or {}, include_deleted), session=self._session)

    async def create(self, values: Mapping[str, Any]) -> D:
        """A new document of these values (names of Python or of MongoDB), validated and inserted.

        Raises pydantic's ValidationError, or WriteError where the collection's own validator refuses it.
        """
        entity = self.document.model_validate(dict(values))
        stored = entity.as_new()
        await self.collection.insert_one(stored, session=self._session)
        return self._entity(stored)

    async def update(self, id: ObjectId, values: Mapping[str, Any], *, where: Where | None = None) -> D | None:
        """The document after one atomic change, or None where no live one of that id matches `where`.

        `values` are by dotted camelCase path; None removes a field. Sets `updatedAt` and increments `version`;
        the expected version goes into `where` (`{"version": 3}`). Without values nothing is written. Raises
        ValueError as `Stored.changes` does; and, as reads do, ValidationError after the change where another part
        of an old document breaks the model.
        """
        if not values:
            return await self.find_one({**(where or {}), "_id": id})
        found = await self.change(id, values, where=where)
        return None if found is None else self._entity(found)

    async def change(
        self,
        id: ObjectId,
        values: Mapping[str, Any],
        *,
        where: Where | None = None,
        stored: Mapping[str, Any] | None = None,
        record: Mapping[str, Any] | None = None,
    ) -> dict[str, Any] | None:
        """As `update`, but returns the stored document, whose other parts needn't fit the model.

        Values that are taken over from the document as it is `stored` now needn't fit, either. `record` is set as it
        is, by stored names.
        """
        changes = self.document.changes(values, stored)
        kept = {path: value for path, value in changes.items() if value is not None}
        removed = {path: "" for path, value in changes.items() if value is None}
        change: dict[str, Any] = {"$set": {**kept, "updatedAt": utc_now(), **(record or {})}, "$inc": {"version": 1}}
        if removed:
            change["$unset"] = removed
        matching, after = live({**(where or {}), "_id": id}), ReturnDocument.AFTER
        try:
            return await self.collection.find_one_and_update(
                matching, change, return_document=after, session=self._session
            )
        except OperationFailure as error:
            if error.code != VALIDATION_FAILURE:
                raise
            # With the level `moderate`, documents that were invalid before may be changed, but not all servers support
            # that here. The new values themselves have been validated.
            return await self.collection.find_one_and_update(
                matching, change, return_document=after, session=self._session, bypassDocumentValidation=True
            )

    async def delete(self, id: ObjectId) -> bool:
        """Remove the document for good, deleted or not. False where there was none."""
        result = await self.collection.delete_one({"_id": id}, session=self._session)
        return result.deleted_count == 1

    async def soft_delete(self, id: ObjectId, *, where: Where | None = None) -> bool:
        """Mark a live document as deleted. False where no live one of that id matches `where`."""
        now = utc_now()
        result = await self.collection.update_one(
            live({**(where or {}), "_id": id}),
            {"$set": {"deletedAt": now, "updatedAt": now}},
            session=self._session,
        )
        return result.modified_count == 1

    async def restore(self, id: ObjectId, *, where: Where | None = None) -> bool:
        """Bring a soft-deleted document back. False where no deleted one of that id matches `where`."""
        result = await self.collection.update_one(
            {"$and": [{"_id": id, "deletedAt": {"$ne": None}}, where or {}]},
            {"$unset": {"deletedAt": ""}, "$set": {"updatedAt": utc_now()}},
            session=self._session,
        )
        return result.modified_count == 1

    def _entity(self, stored: Mapping[str, Any]) -> D:
        entity: D = self.document.model_validate(stored)
        return entity


async def _end(session: AsyncClientSession, *, commit: bool) -> None:
    """Finish the transaction and its session.

    Callers shield it from cancellation: an open transaction would keep its locks until the server's timeout.
    """
    async with session:
        if commit:
            await session.commit_transaction()
        else:
            await session.abort_transaction()
