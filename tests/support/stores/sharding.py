"""To which shards mongos would send a command, by its filter.

The rules are those of MongoDB's manual. A filter that pins the first field of the shard key by equality or `$in` goes
to the shards of these values, anything else to all of them. Documents that come from all shards in an order, or in
groups, are merged. Inserts and upserts need the whole key. Before MongoDB 7.0 so does `findAndModify`, and an update or
deletion of one document needs the key or `_id`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from documents.sharding import SHARD_KEYS

TARGETED: Final = "targeted"
BROADCAST: Final = "broadcast"
MERGED: Final = "merged"
REFUSED: Final = "refused"
_BY_COST: Final = (TARGETED, BROADCAST, MERGED, REFUSED)

_MERGING: Final = frozenset(("$sort", "$group", "$limit", "$facet", "$count", "$sortByCount", "$bucket", "$skip"))
_TOLD: Final = ("userId", "_id", "designId", "actorId", "avatarId", "layers.itemId", "metadata.tags")
"""What may say of a command what it is about."""


class Routed(NamedTuple):
    """A command, its collection, the fields that it seeks by, and where it goes."""

    command: str
    collection: str
    by: str
    way: str


def route(command: Mapping[str, Any]) -> Routed | None:
    """Where a command goes; None where it isn't about a sharded collection, or follows another (`getMore`)."""
    name, target = next(iter(command.items()))
    if name == "aggregate" and target == 1:
        return _of_lookups(command["pipeline"])
    if target not in SHARD_KEYS:
        return None
    match name:
        case "find":
            where = command.get("filter", {})
            return Routed(name, target, _by([where]), _reading(target, where, merged="sort" in command))
        case "count" | "distinct":
            where = command.get("query", {})
            return Routed(name, target, _by([where]), _reading(target, where, merged=True))
        case "aggregate":
            return _of_pipeline(target, command["pipeline"])
        case "insert":
            whole = all(_field_of(document, SHARD_KEYS[target].fields) for document in command["documents"])
            return Routed(name, target, "", TARGETED if whole else REFUSED)
        case "findAndModify":
            where = command["query"]
            return Routed(name, target, _by([where]), TARGETED if _pins_all(target, where) else REFUSED)
        case "update":
            updates = command["updates"]
            ways = [
                _writing(target, each["q"], one=not each.get("multi"), upsert=each.get("upsert", False))
                for each in updates
            ]
            return Routed(name, target, _by(each["q"] for each in command["updates"]), worst(ways))
        case "delete":
            ways = [_writing(target, each["q"], one=each["limit"] == 1) for each in command["deletes"]]
            return Routed(name, target, _by(each["q"] for each in command["deletes"]), worst(ways))
    return None


def worst(ways: Iterable[str]) -> str:
    """The way that costs most."""
    return max(ways, key=_BY_COST.index)


def pins(where: Mapping[str, Any], field: str) -> bool:
    """Whether only documents with certain values of the field can match."""
    if field in where:
        value = where[field]
        operators = isinstance(value, Mapping) and any(key.startswith("$") for key in value)
        if not operators or "$eq" in value or "$in" in value:
            return True
    if any(pins(each, field) for each in where.get("$and", ())):
        return True
    either = where.get("$or", ())
    return bool(either) and all(pins(each, field) for each in either)


def _reading(collection: str, where: Mapping[str, Any], *, merged: bool) -> str:
    if pins(where, SHARD_KEYS[collection].first):
        return TARGETED
    return MERGED if merged else BROADCAST


def _writing(collection: str, where: Mapping[str, Any], *, one: bool, upsert: bool = False) -> str:
    if pins(where, SHARD_KEYS[collection].first) and (not upsert or _pins_all(collection, where)):
        return TARGETED
    return REFUSED if upsert or (one and not pins(where, "_id")) else BROADCAST


def _pins_all(collection: str, where: Mapping[str, Any]) -> bool:
    return all(pins(where, field) for field in SHARD_KEYS[collection].fields)


def _field_of(document: Mapping[str, Any], fields: Iterable[str]) -> bool:
    return all(field in document for field in fields)


def _of_pipeline(collection: str, pipeline: Sequence[Mapping[str, Any]]) -> Routed:
    stages = [next(iter(stage)) for stage in pipeline]
    if "$changeStream" in stages:
        return Routed("aggregate ($changeStream)", collection, "", MERGED)
    first = pipeline[0].get("$match", {}) if pipeline else {}
    ways = [_reading(collection, first, merged=not _MERGING.isdisjoint(stages))]
    for stage in pipeline:
        if "$unionWith" in stage:
            other = stage["$unionWith"]
            ways.append(_of_pipeline(other["coll"], other.get("pipeline", ())).way)
    name = "aggregate ($unionWith)" if "$unionWith" in stages else "aggregate"
    return Routed(name, collection, _by([first]), worst(ways))


def _of_lookups(pipeline: Sequence[Mapping[str, Any]]) -> Routed | None:
    """The lookups of `$documents`: each of these goes to the shards of its own value, if that is of the key."""
    lookups = [stage["$lookup"] for stage in pipeline if stage.get("$lookup", {}).get("from") in SHARD_KEYS]
    if not lookups:
        return None
    ways = []
    for lookup in lookups:
        targeted = lookup.get("foreignField") == SHARD_KEYS[lookup["from"]].first
        inner: Sequence[Mapping[str, Any]] = lookup.get("pipeline", ())
        first = inner[0].get("$match", {}) if inner else {}
        ways.append(TARGETED if targeted else _reading(lookup["from"], first, merged=True))
    by = sorted({str(lookup["foreignField"]) for lookup in lookups if "foreignField" in lookup})
    return Routed("aggregate ($lookup)", lookups[0]["from"], ", ".join(by), worst(ways))


def _by(filters: Iterable[Mapping[str, Any]]) -> str:
    """The fields, of those that say something, that all the filters pin."""
    asked = list(filters)
    return ", ".join(field for field in _TOLD if asked and all(pins(where, field) for where in asked))
