"""Statements on the collection `design_revisions`, and the one way in which a version of a design replaces another.

The current version is the design itself; revisions are the versions before it. Version N is kept first and replaced
then, so a crash in between leaves a revision that is true, of a version that is still current: reads stop below the
current version, and whoever replaces N later finds it kept already.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError, PyMongoError

from api.designs import store
from api.keyset import projection
from api.stores import Stores
from documents.design import item_ids_of, layers_of
from documents.repository import BATCH
from documents.revision import FIRST, REVISIONS, is_version, revision_of, version_of

Document = dict[str, Any]


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


async def keep(stores: Stores, design: Mapping[str, Any]) -> None:
    """Keep the stored design as the revision of its version, where it isn't kept yet."""
    revision = revision_of(design)
    key = {name: revision.pop(name) for name in ("designId", "version")}
    with contextlib.suppress(DuplicateKeyError):  # another writer kept the same version at the same time
        await revisions(stores).update_one(key, {"$setOnInsert": revision}, upsert=True)


async def replace(stores: Stores, design: Document, values: Document, kept: int) -> Document | None:
    """The design after these values made a new version of it; None where it has changed or gone since it was read.

    `values` are by dotted camelCase path and say who acts (`updatedBy`, `requestId`). Of the versions before, the
    last `kept` ones stay. Raises pydantic's ValidationError for values that the document doesn't take.
    """
    counted = await settled(stores, design)
    if counted is None:
        return None
    id, version = design["_id"], version_of(counted)
    await keep(stores, counted)
    designs = store.repository(stores)
    replaced = await designs.change(id, _missing(design) | values, where={"version": version}, stored=design)
    if replaced is not None and version > kept:
        with contextlib.suppress(PyMongoError):  # the change is made; the next one deletes what is left here
            await revisions(stores).delete_many({"designId": id, "version": {"$lte": version - kept}})
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
            {"$match": {"designId": {"$in": [id for id, _ in keys]}}},
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
    chosen = [{"version": version, "designId": {"$in": ids}} for version, ids in by_number.items()]
    fields = projection(names | {"design_id", "version"})
    cursor = revisions(stores).find({"$or": chosen} if len(chosen) > 1 else chosen[0], fields, batch_size=BATCH)
    found = {(document["designId"], document["version"]): document for document in await cursor.to_list()}
    return [found.get(key) for key in keys]
