"""What a design was like before a write, and after it.

MongoDB tells the state before, where it keeps pre-images. Elsewhere it is what this process saw last, or what our own
writes have kept in `design_revisions`. Where another program has written, and nobody knows the state before, the fields
that it changed count as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from bson import ObjectId

from api.bounded_dict import BoundedDict
from api.live.deltas import applied, paths_of
from api.live.design_change import Document
from api.stores.mongodb.client import MongoDatabase
from documents.last_change import CHANGE, change_of, version_of
from documents.revision import REVISIONS, STATE
from documents.schemas import DESIGNS

REMEMBERED: Final = 500
"""Designs whose last state is remembered, where the store doesn't tell it."""
NOTHING: Final = frozenset[str]()
CHANGEABLE: Final = frozenset((*STATE, "catalogItemIds", "version", "updatedAt", CHANGE))
"""The fields of a design that a write may change, whoever writes. The owner stays."""

States = tuple[Document | None, Document | None, frozenset[str]]
"""A design before a write and after it, and the names of fields of which only the value after is known."""


class DesignStates:
    """Works out the states around writes that are told one after the other."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database
        self._last = BoundedDict[ObjectId, Document | None](REMEMBERED)
        self._remembers = False

    async def around(self, event: Mapping[str, Any]) -> States:
        """The states around an event of the change stream."""
        key, operation = event["documentKey"]["_id"], event["operationType"]
        before: Document | None = event.get("fullDocumentBeforeChange")
        if before is None and operation != "insert":
            before = self.last(key)
        if operation == "update":
            description = event["updateDescription"]
            if before is not None:
                states: States = before, applied(before, description), NOTHING
            else:
                states, is_exact = await self._around_update(key, description)
                if not is_exact:
                    return states
        elif operation == "delete":
            states = before, None, NOTHING
        else:
            after = event["fullDocument"]
            if before is not None or operation == "insert":
                states = before, after, NOTHING
            else:
                states = after, after, CHANGEABLE | {"userId"}
        self.note(key, states[1])
        return states

    def last(self, key: ObjectId) -> Document | None:
        """The last state of a design that is remembered."""
        self._remembers = True
        return self._last.get(key)

    def note(self, key: ObjectId, state: Document | None) -> None:
        """Remember the last state of a design, where that was asked for."""
        if self._remembers:
            self._last[key] = state

    async def _around_update(self, key: ObjectId, description: Mapping[str, Any]) -> tuple[States, bool]:
        """The states around an update of which only the changes are known; and whether they were just so.

        Where others wrote since, what this update left alone is shown as it is now.
        """
        changed = frozenset(path.partition(".")[0] for path in paths_of(description))
        current: Document | None = await self._database[DESIGNS.name].find_one({"_id": key})
        if current is None:  # it was removed meanwhile, which the stream will tell
            return (None, None, changed), False
        after = applied(current, description)
        is_exact = after == current and not changed.isdisjoint(("version", "updatedAt"))
        at = _time_of_write(description)
        if at is None:  # another program has written
            return (after, after, changed), is_exact
        if (change_of(current) or {}).get("at") != at:  # others followed
            kept = await self._database[REVISIONS].find_one({"designId": key, "at": at})
            if kept is None or kept.get("pruned"):
                return (after, after, changed), False
            after, is_exact = as_of(current, kept), True
        before = await self.before(after)
        return ((after, after, changed) if before is None else (before, after, NOTHING)), is_exact

    async def before(self, after: Document) -> Document | None:
        """The state before the write that a design describes itself; None where it isn't kept."""
        change = change_of(after) or {}
        version, number = int(change.get("version") or version_of(after)), int(change.get("number") or 0)
        earlier = [{"version": {"$lt": version}}, {"version": version, "number": {"$lt": number}}]
        newest = [("version", -1), ("number", -1)]
        kept = await self._database[REVISIONS].find_one({"designId": after["_id"], "$or": earlier}, sort=newest)
        return None if kept is None or kept.get("pruned") else as_of(after, kept)


def as_of(design: Document, kept: Mapping[str, Any]) -> dict[str, Any]:
    """A design as it was after a write that is kept as a revision."""
    others = {name: value for name, value in design.items() if name not in STATE}
    content = {name: kept[name] for name in STATE if kept.get(name) is not None}
    published = design.get("publishedAt")
    if "publishedAt" not in content and isinstance(published, datetime) and published <= kept["at"]:
        content["publishedAt"] = published  # by then it was, though this revision doesn't keep it
    told = {name: kept[name] for name in ("version", "number", "at", "actorId", "requestId") if name in kept}
    written = {"version": kept["version"], "updatedAt": kept["at"]}
    return {**others, **content, **written, CHANGE: {**told, "updatedAt": kept["at"]}}


def _time_of_write(description: Mapping[str, Any]) -> datetime | None:
    """The time of a write of ours, by which it is known; None where another program has written."""
    fields = description.get("updatedFields") or {}
    change = fields.get(CHANGE)
    at = change.get("at") if isinstance(change, Mapping) else fields.get(f"{CHANGE}.at")
    return at if isinstance(at, datetime) else None
