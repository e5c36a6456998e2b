"""Which designs have changed: by MongoDB's change stream, or by asking for what is newer where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import Any, Final

from bson import ObjectId

from api.live.change_streams import next_event, watching
from api.search.feed import Place
from api.stores.mongodb.client import MongoDatabase
from documents.schemas import DESIGNS

MOST: Final = 500
"""Designs that are taken over in one transaction."""
AWAIT: Final = 200
"""Milliseconds that the change stream is waited for, and at most what a change waits for others to go with it."""
PAUSE: Final = 0.5
"""Seconds between two questions for what is newer."""
OVERLAP: Final = timedelta(seconds=5)
"""Time that is read again: clocks differ, and writes arrive later than they were stamped."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Designs that have changed, and where to go on after them. `all_known` says that there were no others by then."""

    keys: list[ObjectId]
    place: Place
    all_known: bool


async def current_place(database: MongoDatabase, *, streams: bool) -> Place:
    """The place after everything that has been written so far."""
    if not streams:
        hello: dict[str, Any] = await database.command("hello")
        return Place(position=hello["localTime"].replace(tzinfo=UTC))
    async with watching(database, max_await_time_ms=1) as stream:
        await stream.try_next()
        token = stream.resume_token
        return Place(token=None if token is None else dict(token))


async def changes(database: MongoDatabase, place: Place, *, streams: bool) -> AsyncIterator[Changes]:
    """What has changed since, and from time to time that nothing has. Raises PlaceGone where the change stream can't go
    on from there: all designs have to be taken over again."""
    if streams:
        async for each in _streamed(database, place):
            yield each
        return
    while True:
        async for each in _newer(database, place):
            place = each.place
            yield each
        await asyncio.sleep(PAUSE)


async def _streamed(database: MongoDatabase, place: Place) -> AsyncIterator[Changes]:
    fields = [{"$project": {"operationType": 1, "documentKey": 1}}]
    options = {"resume_after": place.token, "max_await_time_ms": AWAIT, "batch_size": MOST}
    async with watching(database, fields, **options) as stream:
        while True:
            keys: dict[ObjectId, None] = {}
            change = await next_event(stream)
            while change is not None:
                if "documentKey" in change:
                    keys[change["documentKey"]["_id"]] = None
                if len(keys) >= MOST:
                    break
                change = await next_event(stream)
            token = stream.resume_token
            yield Changes(list(keys), replace(place, token=None if token is None else dict(token)), change is None)


async def _newer(database: MongoDatabase, place: Place) -> AsyncIterator[Changes]:
    """Everything that is newer now, page by page."""
    since, newest = None if place.position is None else place.position - OVERLAP, place.position
    if since is not None:
        # deleting designs with their owner leaves `updatedAt` as it was
        written: dict[str, Any] = {"change.at": {"$gte": since}, "updatedAt": {"$lt": since}}
        while (
            found := await database[DESIGNS.name].find(written, {"change.at": 1}).sort("_id", 1).limit(MOST).to_list()
        ):
            yield Changes([each["_id"] for each in found], place, all_known=False)
            newest = max(newest or since, *(each["change"]["at"] for each in found))
            written["_id"] = {"$gt": found[-1]["_id"]}
    where: dict[str, Any] = {} if since is None else {"updatedAt": {"$gte": since}}
    while True:
        cursor = database[DESIGNS.name].find(where, {"updatedAt": 1}).sort([("updatedAt", 1), ("_id", 1)]).limit(MOST)
        found = await cursor.to_list()
        if found:
            last, at = found[-1]["_id"], found[-1]["updatedAt"]
            place = replace(place, position=at)
            where = {"$or": [{"updatedAt": {"$gt": at}}, {"updatedAt": at, "_id": {"$gt": last}}]}
        is_last = len(found) < MOST
        if is_last and newest is not None and place.position is not None:
            place = replace(place, position=max(place.position, newest))
        yield Changes([each["_id"] for each in found], place, all_known=is_last)
        if is_last:
            return
