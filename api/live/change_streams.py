"""MongoDB's change streams of the collection of designs: whether there are any, and of which collection."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from pymongo.asynchronous.change_stream import AsyncChangeStream
from pymongo.errors import OperationFailure

from api.live.source import PlaceGone
from api.stores.mongodb.client import MongoDatabase
from documents.schemas import DESIGNS

_UNSUPPORTED: Final = frozenset({20, 59, 115, 238, 303, 40324, 40573})
"""Codes of servers without change streams: standalone, and some that speak MongoDB's protocol."""
_GONE: Final = frozenset({9, 136, 222, 234, 260, 280, 286})
"""Codes for places that the server no longer knows, or never knew."""
_ENDINGS: Final = frozenset({"invalidate", "drop", "rename", "dropDatabase"})

Stream = AsyncChangeStream[dict[str, Any]]


async def collection_id(database: MongoDatabase) -> str:
    """The UUID of the collection, in hexadecimal: another one where it was dropped and made anew, or restored.

    It is empty where there is no collection, and where the server tells none.
    """
    async with await database.list_collections(filter={"name": DESIGNS.name}) as found:
        async for each in found:
            uuid: UUID | bytes = each.get("info", {}).get("uuid", b"")
            return (uuid.bytes if isinstance(uuid, UUID) else uuid).hex()
    return ""


async def require_collection(database: MongoDatabase, id: str) -> None:
    """Raise PlaceGone where the collection isn't the one with this id, if that is known."""
    if id and await collection_id(database) != id:
        raise PlaceGone


async def has_change_streams(database: MongoDatabase) -> bool:
    """Whether the server has change streams."""
    try:
        async with await database[DESIGNS.name].watch(max_await_time_ms=1):
            return True
    except OperationFailure as error:
        if error.code in _UNSUPPORTED:
            return False
        raise


@contextlib.asynccontextmanager
async def watching(
    database: MongoDatabase, pipeline: Sequence[Mapping[str, Any]] = (), **options: Any
) -> AsyncIterator[Stream]:
    """A change stream, as long as the block runs. Raises PlaceGone, also within, where it can't go on."""
    try:
        async with await database[DESIGNS.name].watch([*pipeline], **options) as stream:
            yield stream
    except OperationFailure as error:
        if error.code in _GONE:
            raise PlaceGone from error
        raise


async def next_event(stream: Stream, resumed: Callable[[], Awaitable[object]] | None = None) -> dict[str, Any] | None:
    """The next event, which needs its `operationType`; None where there was none for the stream's longest wait.

    After a failure, the driver opens the stream again by itself, on whichever server answers then: `resumed` is called
    before what that one says is told.

    Raises PlaceGone where the collection was dropped or renamed.
    """
    cursor = stream._cursor
    event = await stream.try_next()
    if resumed is not None and stream._cursor is not cursor:
        await resumed()
    if event is None:
        if not stream.alive:
            raise PlaceGone
        return None
    if event["operationType"] in _ENDINGS:
        raise PlaceGone
    return dict(event)
