"""Statements on the collection `design_revisions`, and the one way in which a write of a design follows another.

A design tells of its last write itself (documents/last_change.py); revisions are those before it. The last one is kept
first and followed then, so a crash in between leaves a revision that is true, of a write that is still the last: reads
stop below the current version, and whoever writes later finds it kept already.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, PyMongoError

from api.designs import store
from api.lists.keyset import projection
from api.stores.stores import Stores
from documents.design import item_ids_of, layers_of
from documents.last_change import CHANGE, FIRST, as_read, is_version, next_change, version_of
from documents.repository import BATCH
from documents.revision import CONTENT, KEPT_VERSIONS, REVISIONS, write_of

Document = dict[str, Any]

DUPLICATE_KEY: Final = 11000
MARKED_AT_ONCE: Final = 100
"""Designs that are deleted or brought back by one command: what they hold is in memory meanwhile."""
PATIENCE: Final = 10
"""Batches that others may get ahead of, all of it, before a deletion doesn't ask any more who wrote."""
PRUNED_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class Span:
    """Which versions of a design, and how many: those `below` and `above`, the newest or the oldest first."""

    size: int
    backwards: bool
    above: int | None
    below: int | None


RevisionsKey = tuple[ObjectId, int, Span]
"""A design, its current version, and which of its revisions."""


def revisions(stores: Stores) -> AsyncCollection[Document]:
    """The collection."""
    return stores.database[REVISIONS]


async def keep(stores: Stores, designs: Sequence[Mapping[str, Any]]) -> None:
    """Keep the last write of each stored design, with what it left behind, where that isn't kept yet."""
    upserts = []
    for design in designs:
        write = write_of(design)
        key = {name: write.pop(name) for name in ("designId", "version")}
        if write["number"] == 0:
            key["number"] = {"$in": [0, None]}  # older revisions have none
        else:
            key["number"] = write.pop("number")
        upserts.append(UpdateOne(key, {"$setOnInsert": write}, upsert=True))
    try:
        await revisions(stores).bulk_write(upserts, ordered=False)
    except BulkWriteError as error:
        problems = error.details["writeErrors"]
        if error.details["writeConcernErrors"] or any(each["code"] != DUPLICATE_KEY for each in problems):
            raise
        # other writers kept the same at the same time


async def replace(stores: Stores, design: Document, values: Document, kept: int) -> Document | None:
    """The design after these values made a new version of it; None where it has changed or gone since it was read.

    `values` are by dotted camelCase path and say who acts (`updatedBy`, `requestId`). Of the versions before, the
    last `kept` ones keep their content. Raises pydantic's ValidationError for values that the document doesn't take.
    """
    designs = store.repository(stores)
    values = _missing(design) | values
    designs.document.changes(values, design)  # what can't be written leaves nothing behind
    counted = await settled(stores, design)
    if counted is None:
        return None
    id, version = design["_id"], version_of(counted)
    await keep(stores, [counted])
    change = next_change(counted, values.get("updatedBy"), values.get("requestId"), version=version + 1)
    change["updatedAt"] = change["at"]
    record = {CHANGE: change, "updatedAt": change["at"]}
    replaced = await designs.change(id, values, where=as_read(counted), stored=design, record=record)
    if replaced is not None and version > kept:
        with contextlib.suppress(PyMongoError):  # the change is made; the next one prunes what is left here
            await _prune(stores, id, version - kept)
    return replaced


async def settled(stores: Stores, design: Document) -> Document | None:
    """The design with a version to count on from, where what is stored there is none; it comes after all that are kept.

    None where the design has changed or gone since it was read.
    """
    stored, id = design.get("version"), design["_id"]
    if is_version(stored):
        return design
    last = await revisions(stores).find_one({"designId": id}, ["version"], sort=[("version", -1)])
    version = FIRST if last is None else version_of(last) + 1
    where, change = {"_id": id, "version": {"$eq": stored}}, {"$set": {"version": version}}
    done = await store.repository(stores).collection.update_one(where, change)
    return {**design, "version": version} if done.matched_count else None


async def mark(
    stores: Stores,
    designs: Sequence[Document],
    by: Mapping[str, str],
    deleted_at: datetime | None,
    *,
    touch: bool = False,
    fenced: bool = True,
) -> int:
    """Delete stored designs as of a moment, or bring them back where it is None; how many there were still.

    Nobody may have written them since they were read, but where not `fenced`: then only whether they are deleted
    counts. `by` says who acts, as `replace` is told; `touch` that `updatedAt` tells of it, as the same moment.
    """
    counted = [found for design in designs if (found := await settled(stores, design)) is not None]
    if not counted:
        return 0
    await keep(stores, counted)
    updates = []
    for design in counted:
        change = next_change(design, by.get("updatedBy"), by.get("requestId"))
        values: Document = {CHANGE: change}
        moment = deleted_at
        if touch:
            values["updatedAt"] = change["updatedAt"] = change["at"]
            moment = deleted_at and change["at"]
        where = as_read(design) if fenced else {"_id": design["_id"]}
        where |= {"userId": {"$eq": design.get("userId")}, "deletedAt": {"$eq": design.get("deletedAt")}}
        if moment is None:
            updates.append(UpdateOne(where, {"$set": values, "$unset": {"deletedAt": ""}}))
        else:
            updates.append(UpdateOne(where, {"$set": values | {"deletedAt": moment}}))
    return (await store.repository(stores).collection.bulk_write(updates, ordered=False)).modified_count


async def mark_all(stores: Stores, where: Document, by: Mapping[str, str], deleted_at: datetime | None) -> int:
    """The same for all designs of a condition that those which are marked don't meet; in batches, until none is left.

    Where others keep writing them, or what is stored can't be asked for, one by one and without a fence.
    """
    designs, marked, idle = store.repository(stores), 0, 0
    while found := await designs.read(None, where=where, limit=MARKED_AT_ONCE, include_deleted=True):
        done = await mark(stores, found, by, deleted_at, fenced=idle < PATIENCE)
        marked, idle = marked + done, 0 if done else idle + 1
    return marked


async def _prune(stores: Stores, id: ObjectId, last: int) -> None:
    """Take the content out of a design's versions up to this one; that there were these writes stays recorded."""
    empty = {"$unset": dict.fromkeys((*CONTENT, "deletedAt"), ""), "$set": {"pruned": True}}
    while True:
        cursor = revisions(stores).find(
            {"designId": id, "version": {"$lte": last}},
            ["version", "pruned"],
            sort=[("version", -1)],
            limit=PRUNED_AT_ONCE,
        )
        found = await cursor.to_list()
        full = [each["_id"] for each in found if not each.get("pruned")]
        if full:
            await revisions(stores).update_many({"_id": {"$in": full}}, empty)
        if len(full) < PRUNED_AT_ONCE:  # what lies before has been pruned already
            return
        last = found[-1]["version"]


def _missing(design: Document) -> Document:
    """What an older service left out and the collection's validator asks for, where it looks at such documents."""
    parts: Document = {"layers": [], "catalogItemIds": item_ids_of(layers_of(design))}
    return {name: part for name, part in parts.items() if design.get(name) is None}


async def pages(stores: Stores, keys: Sequence[RevisionsKey], names: frozenset[str]) -> list[Sequence[Document]]:
    """The revisions of each design in each span, at most one more than its size: one command a span."""
    answers: dict[RevisionsKey, Sequence[Document]] = {}
    by_span: dict[Span, list[tuple[ObjectId, int]]] = defaultdict(list)
    for id, current, span in keys:
        by_span[span].append((id, current))
    for span, designs in by_span.items():
        bounds = {"$lt": span.below, "$gt": span.above}
        pipeline: list[Document] = [
            *({"$match": {"version": {name: bound}}} for name, bound in bounds.items() if bound is not None),
            {"$match": KEPT_VERSIONS},
            {"$match": {"$expr": {"$lt": ["$version", "$$current"]}}},
            {"$sort": {"version": 1 if span.backwards else -1}},
            {"$limit": span.size + 1},
            {"$project": projection(names | {"version"})},
        ]
        lookup = {
            "from": REVISIONS,
            "localField": "design",
            "foreignField": "designId",
            "let": {"current": "$current"},
            "pipeline": pipeline,
            "as": "found",
        }
        stages: list[Document] = [
            {"$documents": [{"_id": n, "design": id, "current": current} for n, (id, current) in enumerate(designs)]},
            {"$lookup": lookup},
        ]
        cursor = await stores.database.aggregate(stages, batchSize=BATCH)
        for document in await cursor.to_list():
            answers[*designs[document["_id"]], span] = document["found"]
    return [answers[key] for key in keys]


async def counts(stores: Stores, keys: Sequence[tuple[ObjectId, int]], names: frozenset[str]) -> list[int]:
    """How many revisions each design has below its current version."""
    cursor = await revisions(stores).aggregate(
        [
            {"$match": {"designId": {"$in": [id for id, _ in keys]}, **KEPT_VERSIONS}},
            {"$group": {"_id": "$designId", "versions": {"$push": "$version"}}},
        ],
        batchSize=BATCH,
    )
    versions = {document["_id"]: document["versions"] for document in await cursor.to_list()}
    return [sum(version < current for version in versions.get(id, ())) for id, current in keys]


async def by_version(
    stores: Stores, keys: Sequence[tuple[ObjectId, int]], names: frozenset[str]
) -> list[Document | None]:
    """One revision a key (design and version), None where it isn't kept."""
    by_number: dict[int, list[ObjectId]] = defaultdict(list)
    for id, version in keys:
        by_number[version].append(id)
    chosen = [{"version": version, "designId": {"$in": ids}, **KEPT_VERSIONS} for version, ids in by_number.items()]
    fields = projection(names | {"design_id", "version"})
    cursor = revisions(stores).find({"$or": chosen} if len(chosen) > 1 else chosen[0], fields, batch_size=BATCH)
    found = {(document["designId"], document["version"]): document for document in await cursor.to_list()}
    return [found.get(key) for key in keys]
