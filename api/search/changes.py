"""Which designs have changed: by MongoDB's change stream, or by asking for what is newer where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from bson import ObjectId
from pymongo.errors import OperationFailure

from api.search.feed import Place
from api.stores.mongodb import MongoDatabase
from documents.schemas import DESIGNS

MOST: Final = 500
"""Designs that are taken over in one transaction."""
AWAIT: Final = 200
"""Milliseconds that the change stream is waited for, and at most what a change waits for others to go with it."""
PAUSE: Final = 0.5
"""Seconds between two questions for what is newer."""
OVERLAP: Final = timedelta(seconds=5)
"""Time that is read again: clocks differ, and writes arrive later than they were stamped."""

_UNSUPPORTED: Final = frozenset({20, 59, 115, 238, 303, 40324, 40573})
"""Codes of servers without change streams: standalone, and some that speak MongoDB's protocol."""
_GONE: Final = frozenset({9, 136, 222, 234, 260, 280, 286})
"""Codes for places that the server no longer knows, or never knew."""


class PlaceGone(Exception):
    """The change stream can't go on from there; all designs have to be taken over again."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Designs that have changed, and where to go on after them. `all_known` says that there were no others by then."""

    keys: list[ObjectId]
    place: Place
    all_known: bool


async def has_change_streams(database: MongoDatabase) -> bool:
    """Whether the server has change streams."""
    try:
        async with await database[DESIGNS.name].watch(max_await_time_ms=1):
            return True
    except OperationFailure as error:
        if error.code in _UNSUPPORTED:
            return False
        raise


async def current_place(database: MongoDatabase, *, streams: bool) -> Place:
    """The place after everything that has been written so far."""
    if not streams:
        hello: dict[str, Any] = await database.command("hello")
        return Place(position=hello["localTime"])
    async with await database[DESIGNS.name].watch(max_await_time_ms=1) as stream:
        await stream.try_next()
        token = stream.resume_token
        return Place(token=None if token is None else dict(token))


async def changes(database: MongoDatabase, place: Place, *, streams: bool) -> AsyncIterator[Changes]:
    """What has changed since, and from time to time that nothing has. Raises PlaceGone."""
    if streams:
        try:
            async for each in _streamed(database, place):
                yield each
        except OperationFailure as error:
            if error.code in _GONE:
                raise PlaceGone from error
            raise
        return
    while True:
        async for each in _newer(database, place):
            place = each.place
            yield each
        await asyncio.sleep(PAUSE)


async def _streamed(database: MongoDatabase, place: Place) -> AsyncIterator[Changes]:
    watched = await database[DESIGNS.name].watch(
        [{"$project": {"operationType": 1, "documentKey": 1}}],
        resume_after=place.token,
        max_await_time_ms=AWAIT,
        batch_size=MOST,
    )
    async with watched as stream:
        while True:
            keys: dict[ObjectId, None] = {}
            change = await stream.try_next()
            while change is not None:
                if change["operationType"] in ("invalidate", "drop", "rename", "dropDatabase"):
                    raise PlaceGone
                if "documentKey" in change:
                    keys[change["documentKey"]["_id"]] = None
                if len(keys) >= MOST:
                    break
                change = await stream.try_next()
            token = stream.resume_token
            yield Changes(list(keys), replace(place, token=None if token is None else dict(token)), change is None)


async def _newer(database: MongoDatabase, place: Place) -> AsyncIterator[Changes]:
    """Everything that is newer now, page by page."""
    where: dict[str, Any] = {} if place.position is None else {"updatedAt": {"$gte": place.position - OVERLAP}}
    while True:
        cursor = database[DESIGNS.name].find(where, {"updatedAt": 1}).sort([("updatedAt", 1), ("_id", 1)]).limit(MOST)
        found = await cursor.to_list()
        if found:
            last, at = found[-1]["_id"], found[-1]["updatedAt"]
            place = replace(place, position=at)
            where = {"$or": [{"updatedAt": {"$gt": at}}, {"updatedAt": at, "_id": {"$gt": last}}]}
        yield Changes([each["_id"] for each in found], place, all_known=len(found) < MOST)
        if len(found) < MOST:
            return
