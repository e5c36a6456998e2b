"""Designs as a source of changes, by MongoDB's change stream: it has the writes of all programs, once committed."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from bson import ObjectId, Timestamp
from pymongo.read_concern import ReadConcern

from api.live.change_streams import Stream, collection_id, next_event, require_collection, watching
from api.live.design_change import LAST, DesignChange, DesignPlace
from api.live.design_states import DesignStates
from api.live.source import MOST, PlaceGone, Read
from api.stores.mongodb.client import MongoDatabase
from documents.schemas import DESIGNS

AWAIT: Final = 1000
"""Milliseconds that the server waits for an event before it says that there is none."""
_SHORT: Final = 50
"""As `AWAIT`, where what is read is known to be there already."""
_AT_ONCE: Final = 2
"""The most followers that read on their own at the same time, since they are behind: each has a cursor meanwhile."""
_PLACES: Final = [{"$project": {"operationType": 1, "clusterTime": 1}}]
_ONE: Final = {"_id": 1}
_TIMED: Final = re.compile("82[0-9A-Fa-f]{16}")


class StreamedDesigns:
    """The change stream of the collection. The states before writes are asked for, where the server keeps them."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database
        self._states = DesignStates(database)
        self._catching_up = asyncio.Semaphore(_AT_ONCE)

    async def begin(self) -> DesignPlace:
        """The place of now. What had a time by then can be read by everyone when this returns."""
        self._states = DesignStates(self._database)
        # before the time: if it is made anew in between, the stream of that time tells of it
        collection = await collection_id(self._database)
        designs = self._database[DESIGNS.name]
        async with self._database.client.start_session(causal_consistency=True) as session:
            await designs.find_one({}, _ONE, session=session)
            now = session.operation_time
            assert now is not None, "a server with change streams tells its time"
            # it answers once a majority of the servers has everything up to that time
            await designs.with_options(read_concern=ReadConcern("majority")).find_one({}, _ONE, session=session)
        return DesignPlace(collection, now.time, now.inc, LAST)

    async def read(self, after: DesignPlace) -> AsyncIterator[Read[DesignPlace, DesignChange]]:
        """What follows this place, for ever. Raises PlaceGone."""
        place = after
        async with self._watching(after, **_images(), max_await_time_ms=AWAIT) as stream:
            yield Read((), place)
            while True:
                event = await self._next(stream, place)
                changes = []
                if event is not None:
                    place = _place_of(event, place)
                    changes = [found] if (found := await _change(event, place, self._states)) else []
                elif (token := stream.resume_token) is not None:
                    # the server forgets old places, so this one is kept fresh although nothing happens
                    place = replace(place, token=token["_data"])
                yield Read(changes, place)

    async def page(self, after: DesignPlace, upto: DesignPlace) -> Sequence[DesignChange]:
        """The changes between two places, fewer than MOST where there are no more. Raises PlaceGone."""
        place, changes, states = after, list[DesignChange](), DesignStates(self._database)
        async with self._catching_up, self._watching(after, **_images(), **_PAGE) as stream:
            while len(changes) < MOST and place < upto:
                event = await self._next(stream, place)
                if event is not None:
                    place = _place_of(event, place)
                    change = None if upto < place else await _change(event, place, states)
                    changes += [] if change is None else [change]
                elif _has_read(stream, upto):
                    break
        return changes

    async def count(self, after: DesignPlace, upto: DesignPlace, most: int) -> int:
        """How many changes lie between two places, as far as `most` and one more. Raises PlaceGone."""
        if after.seen is not None or after.collection != upto.collection:
            raise PlaceGone
        place, counted = after, 0
        async with self._catching_up, self._watching(after, _PLACES, **_PAGE) as stream:
            while place < upto and counted <= most:
                event = await self._next(stream, place)
                if event is not None:
                    place = _place_of(event, place)
                    counted += not upto < place
                elif _has_read(stream, upto):
                    break
        return counted

    @contextlib.asynccontextmanager
    async def _watching(
        self, after: DesignPlace, pipeline: Sequence[Mapping[str, Any]] = (), **options: Any
    ) -> AsyncIterator[Stream]:
        """A change stream of what follows this place. Raises PlaceGone, also within.

        A server may take the token of another one, so it is asked first whether it has the place's collection.
        """
        await require_collection(self._database, after.collection)
        async with watching(self._database, pipeline, **_from(after), **options) as stream:
            yield stream

    async def _next(self, stream: Stream, place: DesignPlace) -> dict[str, Any] | None:
        return await next_event(stream, partial(require_collection, self._database, place.collection))


_PAGE: Final[dict[str, Any]] = {"max_await_time_ms": _SHORT, "batch_size": MOST}


def _images() -> dict[str, Any]:
    return {"full_document_before_change": "whenAvailable"}


def _from(place: DesignPlace) -> dict[str, Any]:
    if place.token is not None:
        return {"resume_after": {"_data": place.token}}
    return {"start_at_operation_time": Timestamp(place.time, place.increment + 1)}


def _has_read(stream: Stream, upto: DesignPlace) -> bool:
    """Whether a stream that has nothing more for now has read everything up to there.

    A token of MongoDB begins with its time; what doesn't is of a server that hands out what it has at once.
    """
    token = (stream.resume_token or {}).get("_data", "")
    if not _TIMED.match(token):
        return True
    return (int(token[2:10], 16), int(token[10:18], 16)) >= (upto.time, upto.increment)


def _place_of(event: dict[str, Any], last: DesignPlace) -> DesignPlace:
    """The place of an event that follows the last one. Those of one transaction have the same time."""
    at: Timestamp = event["clusterTime"]
    number = last.number + 1 if (at.time, at.inc) == (last.time, last.increment) else 1
    return DesignPlace(last.collection, at.time, at.inc, number, event["_id"]["_data"])


async def _change(event: dict[str, Any], place: DesignPlace, states: DesignStates) -> DesignChange | None:
    """The change that an event tells of; None for what is none of a design."""
    if event["operationType"] not in ("insert", "update", "replace", "delete"):
        return None
    key = event["documentKey"]["_id"]
    if not isinstance(key, ObjectId):
        return None
    before, after, unknown = await states.around(event)
    told = event.get("wallTime") or datetime.fromtimestamp(place.time, UTC)
    return DesignChange.of_write(place, key, before, after, unknown, told)
