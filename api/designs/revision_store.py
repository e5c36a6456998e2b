"""Commands on the collection `design_revisions`, and the way in which every write of a design is made.

A design describes its last write itself (documents/last_change.py); revisions describe the writes before that. A write
first keeps the last one as a revision, then changes the design. A crash in between leaves a revision of a write that is
still the last one: reads stop below the current version, and the next write finds it kept already.
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
from documents.last_change import CHANGE, FIRST, as_read, is_version, key_of, next_change, version_of
from documents.repository import BATCH
from documents.revision import KEPT_VERSIONS, REVISIONS, STATE, write_of

Document = dict[str, Any]

DUPLICATE_KEY: Final = 11000
MARKED_AT_ONCE: Final = 100
"""The most designs that are deleted or restored by one command: their content is in memory meanwhile."""
PATIENCE: Final = 10
"""How many batches may fail completely because of other writers, before a deletion ignores these."""
PRUNED_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class Span:
    """Which versions of a design, and how many: those `below` or `above` a version, the newest or the oldest first."""

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
    """Keep the last write of each stored design, with the content after it, where it isn't kept yet."""
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
        # other writers kept the same write at the same time


async def replace(stores: Stores, design: Document, values: Document, kept: int) -> Document | None:
    """Make a new version of the design with these values; None where it was changed or removed since it was read.

    `values` have dotted camelCase paths, and say who acts (`updatedBy`, `requestId`). The last `kept` earlier versions
    keep their content. Raises pydantic's ValidationError for values that don't fit the document.
    """
    designs = store.repository(stores)
    values = _missing(design) | values
    designs.document.changes(values, design)  # invalid values must leave no revision behind
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
        with contextlib.suppress(PyMongoError):  # the change is made already; the next one prunes what is left
            await _prune(stores, id, version - kept)
    return replaced


async def settled(stores: Stores, design: Document) -> Document | None:
    """The design with a valid version, above all kept ones, where the stored version isn't valid.

    None where the design was changed or removed since it was read.
    """
    stored, id = design.get("version"), design["_id"]
    if is_version(stored):
        return design
    last = await revisions(stores).find_one({"designId": id}, ["version"], sort=[("version", -1)])
    version = FIRST if last is None else version_of(last) + 1
    where, change = {**key_of(design), "version": {"$eq": stored}}, {"$set": {"version": version}}
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
    """Delete stored designs as of a moment, or restore them where it is None. Returns how many were changed.

    With `fenced`, designs that were written since they were read are skipped; else it only matters whether they are
    deleted. `by` says who acts, as in `replace`. With `touch`, `updatedAt` is set to the same moment.
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
    """Delete or restore all designs that meet a condition, in batches, until none is left.

    Marked designs must not meet the condition any more. Where others keep writing, it goes on one by one and unfenced.
    """
    designs, marked, idle = store.repository(stores), 0, 0
    while found := await designs.read(None, where=where, limit=MARKED_AT_ONCE, include_deleted=True):
        done = await mark(stores, found, by, deleted_at, fenced=idle < PATIENCE)
        marked, idle = marked + done, 0 if done else idle + 1
    return marked


async def _prune(stores: Stores, id: ObjectId, last: int) -> None:
    """Remove the content of a design's versions up to this one. The writes themselves stay recorded."""
    empty = {"$unset": dict.fromkeys(STATE, ""), "$set": {"pruned": True}}
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
            await revisions(stores).update_many({"designId": id, "_id": {"$in": full}}, empty)
        if len(full) < PRUNED_AT_ONCE:  # earlier versions have been pruned already
            return
        last = found[-1]["version"]


def _missing(design: Document) -> Document:
    """The fields that the collection's validator requires and an older service left out."""
    parts: Document = {"layers": [], "catalogItemIds": item_ids_of(layers_of(design))}
    return {name: part for name, part in parts.items() if design.get(name) is None}


async def pages(stores: Stores, keys: Sequence[RevisionsKey], names: frozenset[str]) -> list[Sequence[Document]]:
    """The revisions of each design in each span, at most one more than its size. One command for each span."""
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
    """The revision of each key (design and version); None where it isn't kept."""
    by_number: dict[int, list[ObjectId]] = defaultdict(list)
    for id, version in keys:
        by_number[version].append(id)
    chosen = [{"version": version, "designId": {"$in": ids}, **KEPT_VERSIONS} for version, ids in by_number.items()]
    fields = projection(names | {"design_id", "version"})
    cursor = revisions(stores).find({"$or": chosen} if len(chosen) > 1 else chosen[0], fields, batch_size=BATCH)
    found = {(document["designId"], document["version"]): document for document in await cursor.to_list()}
    return [found.get(key) for key in keys]
