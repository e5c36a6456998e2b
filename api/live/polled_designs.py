"""Designs as a source of changes where the server has no change streams: what is new is read, four times a second.

A write is known by its design and its time. Those of ours are all found: the last one in the design, the ones before in
`design_revisions`. Of other programs' writes the last one is found, by `updatedAt`; what they remove isn't. Writes
arrive later than they were stamped, and clocks differ, so the last seconds are read again each time, and a place says
which of their writes have been read.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bson import ObjectId

from api.live.change_streams import collection_id, require_collection
from api.live.design_change import OVERLAP, SOMEWHERE, DesignChange, DesignPlace, Document, Seen, WriteKey
from api.live.design_states import CHANGEABLE, NOTHING, DesignStates, as_of
from api.live.source import MOST, PlaceGone, Read
from api.stores.mongodb.client import MongoDatabase
from documents.last_change import change_of, is_as_written
from documents.revision import REVISIONS
from documents.schemas import DESIGNS

PAUSE: Final = 0.25
"""Seconds between two looks."""
SETTLE: Final = 0.25
"""Seconds that a write waits for others that were stamped before it."""

_OF_DESIGN: Final = ["version", "updatedAt", "change"]
_OF_REVISION: Final = ["designId", "version", "number", "at"]
_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Write:
    """A write of a design. `at` is in milliseconds, and `hash` stands for it beside that."""

    design: ObjectId
    at: int
    version: int
    number: int
    hash: bytes
    is_ours: bool

    @property
    def key(self) -> WriteKey:
        """What stands for it in places."""
        return self.at, self.hash


class PolledDesigns:
    """What is new in the collection of designs."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database
        self._states = DesignStates(database)
        self._known: dict[bytes, int] = {}
        """The time of each write that was read, as far as it would be read again."""
        self._floor = 0

    async def begin(self) -> DesignPlace:
        """The place of now."""
        self._states = DesignStates(self._database)
        collection = await collection_id(self._database)
        self._floor = await self._now() - OVERLAP
        writes = sorted(await self._writes(self._floor), key=_key)
        self._known = {write.hash: write.at for write in writes}
        seen = Seen.until(self._floor)
        for write in writes:
            seen = seen.plus(write.key)
        return DesignPlace(collection, 0, 0, 1, seen=seen)

    async def read(self, after: DesignPlace) -> AsyncIterator[Read[DesignPlace, DesignChange]]:
        """What follows this place, for ever. Raises PlaceGone."""
        place, waiting = after, dict[bytes, float]()
        await require_collection(self._database, after.collection)
        yield Read((), place)
        while True:
            now = await self._now()
            found = [write for write in await self._writes(self._floor) if write.hash not in self._known]
            moment = time.monotonic()
            waiting = {write.hash: waiting.get(write.hash, moment) for write in found}
            settled = [
                write
                for write in sorted(found, key=_key)
                if write.at <= now - SETTLE * 1000 or waiting[write.hash] <= moment - SETTLE
            ]
            changes = await self._changes(settled, place, self._states)
            await require_collection(self._database, after.collection)
            self._floor = now - OVERLAP
            self._known |= {write.hash: write.at for write in settled}
            self._known = {hash: at for hash, at in self._known.items() if at > self._floor}
            if changes:
                place = changes[-1].place
            yield Read(changes, place)
            await asyncio.sleep(PAUSE)

    async def page(self, after: DesignPlace, upto: DesignPlace) -> Sequence[DesignChange]:
        """The changes between two places, fewer than MOST where there are no more. Raises PlaceGone."""
        states, place = DesignStates(self._database), after
        changes = list[DesignChange]()
        writes = await self._between(after, upto)
        for start in range(0, len(writes), MOST):
            changes += await self._changes(writes[start : start + MOST], place, states)
            if len(changes) >= MOST:
                return changes[:MOST]
            place = changes[-1].place if changes else place
        return changes

    async def count(self, after: DesignPlace, upto: DesignPlace, most: int) -> int:
        """How many changes lie between two places, as far as `most` and one more. Raises PlaceGone."""
        if after.seen is None or after.collection != upto.collection:
            raise PlaceGone
        since, enough = _moment(after.seen.floor[0] - 1), most + MOST
        later = await self._database[REVISIONS].count_documents({"at": {"$gt": since}}, limit=enough)
        later += await self._database[DESIGNS.name].count_documents(_newer(since), limit=enough)
        if later > 2 * enough:
            return most + 1
        return len(await self._between(after, upto))

    async def _now(self) -> int:
        hello: Mapping[str, Any] = await self._database.command("hello")
        return _milliseconds(hello["localTime"])

    async def _between(self, after: DesignPlace, upto: DesignPlace) -> list[Write]:
        assert after.seen is not None
        assert upto.seen is not None
        read, wanted = after.seen, upto.seen
        writes = await self._writes(read.floor[0] - 1)
        await require_collection(self._database, after.collection)
        return sorted((write for write in writes if write.key not in read and write.key in wanted), key=_key)

    async def _writes(self, floor: int) -> list[Write]:
        """The writes that were stamped later than that."""
        since = _moment(floor)
        # first the designs: a write that is followed by another one meanwhile is found among the revisions then
        designs = await self._database[DESIGNS.name].find(_newer(since), _OF_DESIGN).to_list()
        revisions = await self._database[REVISIONS].find({"at": {"$gt": since}}, _OF_REVISION).to_list()
        writes = [write for design in designs for write in _writes_of(design)]
        writes += [_write(each["designId"], each["at"], each, is_ours=True) for each in revisions]
        return list({write.hash: write for write in reversed(writes) if write.at > floor}.values())

    async def _changes(self, writes: Sequence[Write], place: DesignPlace, states: DesignStates) -> list[DesignChange]:
        """These writes as changes after a place."""
        designs, revisions = await self._stored(writes)
        changes = []
        for write in writes:
            design = designs.get(write.design)
            if design is None:  # it was removed
                continue
            kept = revisions.get((write.design, write.at))
            before, after, unknown = await self._around(write, design, kept, states)
            states.note(write.design, after)
            assert place.seen is not None
            number = place.number if place.number == SOMEWHERE else place.number + 1
            place = DesignPlace(place.collection, 0, 0, number, seen=place.seen.plus(write.key))
            changes.append(DesignChange.of_write(place, write.design, before, after, unknown, _moment(write.at)))
        return changes

    async def _stored(
        self, writes: Sequence[Write]
    ) -> tuple[dict[ObjectId, Document], dict[tuple[ObjectId, int], Document]]:
        """The designs of these writes, and the revisions that were kept of them."""
        if not writes:
            return {}, {}
        ids = list({write.design for write in writes})
        designs = await self._database[DESIGNS.name].find({"_id": {"$in": ids}}).to_list()
        times = list({_moment(write.at) for write in writes})
        kept = await self._database[REVISIONS].find({"designId": {"$in": ids}, "at": {"$in": times}}).to_list()
        return (
            {design["_id"]: design for design in designs},
            {(each["designId"], _milliseconds(each["at"])): each for each in kept},
        )

    async def _around(
        self, write: Write, design: Document, kept: Document | None, states: DesignStates
    ) -> tuple[Document | None, Document, frozenset[str]]:
        """The states around a write, and what is unknown of the first."""
        before, after = states.last(write.design), design
        if kept is not None:
            if kept.get("pruned"):
                return design, design, CHANGEABLE
            after = as_of(design, kept)
        if before is not None:
            return before, after, NOTHING
        operation = kept.get("operation") if kept is not None else (change_of(design) or {}).get("operation")
        if write.is_ours and operation == "INSERT":
            return None, after, NOTHING
        if not write.is_ours or operation is None:
            if design.get("createdAt") == _moment(write.at):
                return None, after, NOTHING
            return after, after, CHANGEABLE
        before = await states.before(after)
        return (after, after, CHANGEABLE) if before is None else (before, after, NOTHING)


def _newer(since: datetime) -> dict[str, Any]:
    # deleting with an owner leaves `updatedAt` as it was
    return {"$or": [{"updatedAt": {"$gt": since}}, {"change.at": {"$gt": since}}]}


def _writes_of(design: Document) -> Iterable[Write]:
    """The writes that a design itself tells of: the last one of ours, and that of another program after it."""
    change = change_of(design)
    if change is not None:
        yield _write(design["_id"], change["at"], change, is_ours=True)
    if not is_as_written(design) and isinstance(at := design.get("updatedAt"), datetime):
        yield _write(design["_id"], at, design, is_ours=False)


def _write(design: ObjectId, at: datetime, told: Mapping[str, Any], *, is_ours: bool) -> Write:
    milliseconds = _milliseconds(at)
    of = f"{design}{milliseconds}".encode()
    hash = hashlib.blake2b(of, digest_size=6).digest()
    return Write(design, milliseconds, _whole(told.get("version")), _whole(told.get("number")), hash, is_ours)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _key(write: Write) -> WriteKey:
    return write.key


def _milliseconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MILLISECOND


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND
