"""To which shards mongos would send a command, by its filter.

The rules are those of MongoDB's manual; docs/operating/sharding.md names the pages. A read whose filter pins the first
field of the shard key by equality or `$in` goes to the shards of these values, any other to all of them. Documents that
come from all shards in an order, or in groups, are merged. A write goes to one shard where its filter equals the whole
key. Else one of many documents goes to all shards, and one of a single document needs `_id`, and then goes to all of
them, too. Inserts and upserts need the whole key, and so does `findAndModify` before MongoDB 7.1. A change of the key
itself needs the whole key, and a single document. Before MongoDB 8.0, transactions look nothing up in what is sharded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from documents.sharding import SHARD_KEYS
from tests.support.documentation.pages import ROOT

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
    in_transaction = command.get("autocommit") is False
    if name == "aggregate" and target == 1:
        return _of_lookups(command["pipeline"], in_transaction=in_transaction)
    if not isinstance(target, str) or target not in SHARD_KEYS:
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
            return Routed(name, target, _by([where]), TARGETED if _equals_key(target, where) else REFUSED)
        case "update":
            updates = command["updates"]
            ways = [_updating(target, each) for each in updates]
            return Routed(name, target, _by(each["q"] for each in command["updates"]), worst(ways))
        case "delete":
            ways = [_writing(target, each["q"], one=each["limit"] == 1) for each in command["deletes"]]
            return Routed(name, target, _by(each["q"] for each in command["deletes"]), worst(ways))
    return None


def documented(heading: str) -> set[Routed]:
    """The table below a heading of docs/operating/sharding.md."""
    text = (ROOT / "docs/operating/sharding.md").read_text()
    section = text.split(f"\n### {heading}\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| `([^`]+)` \| `(designs|design_revisions)` \| ([^|]*) \| (\w+) \|", section, re.MULTILINE)
    return {Routed(name, collection, by.replace("`", "").strip(), way) for name, collection, by, way in rows}


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


def equals(where: Mapping[str, Any], field: str) -> bool:
    """Whether only documents with one certain value of the field can match."""
    if field in where:
        value = where[field]
        operators = isinstance(value, Mapping) and any(key.startswith("$") for key in value)
        if not operators or "$eq" in value:
            return True
    return any(equals(each, field) for each in where.get("$and", ()))


def _reading(collection: str, where: Mapping[str, Any], *, merged: bool) -> str:
    if pins(where, SHARD_KEYS[collection].first):
        return TARGETED
    return MERGED if merged else BROADCAST


def _writing(collection: str, where: Mapping[str, Any], *, one: bool, upsert: bool = False) -> str:
    if _equals_key(collection, where):
        return TARGETED
    return REFUSED if upsert or (one and not equals(where, "_id")) else BROADCAST


def _updating(collection: str, update: Mapping[str, Any]) -> str:
    one = not update.get("multi")
    if _sets_key(collection, update["u"]) and not (one and _equals_key(collection, update["q"])):
        return REFUSED
    return _writing(collection, update["q"], one=one, upsert=update.get("upsert", False))


def _sets_key(collection: str, change: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> bool:
    """Whether an update may change a value of the shard key: by an operator, a stage, or in place of the document."""
    key = SHARD_KEYS[collection].fields
    if not isinstance(change, Mapping):
        return any(field in values for stage in change for values in stage.values() for field in key)
    if not any(operator.startswith("$") for operator in change):
        return True
    return any(field in values for operator, values in change.items() if operator != "$setOnInsert" for field in key)


def _equals_key(collection: str, where: Mapping[str, Any]) -> bool:
    return all(equals(where, field) for field in SHARD_KEYS[collection].fields)


def _field_of(document: Mapping[str, Any], fields: Iterable[str]) -> bool:
    return all(field in document for field in fields)


def _of_pipeline(collection: str, pipeline: Sequence[Mapping[str, Any]]) -> Routed:
    stages = [next(iter(stage)) for stage in pipeline]
    if "$changeStream" in stages:
        return Routed("aggregate ($changeStream)", collection, "", MERGED)
    first = pipeline[0].get("$match", {}) if pipeline else {}
    ways = [_reading(collection, first, merged=not _MERGING.isdisjoint(stages))]
    for stage in pipeline:
        if stage.get("$lookup", {}).get("from") in SHARD_KEYS:
            ways.append(_looking_up(stage["$lookup"]))
        if "$unionWith" in stage:
            other = stage["$unionWith"]
            ways.append(_of_pipeline(other["coll"], other.get("pipeline", ())).way)
    name = "aggregate ($unionWith)" if "$unionWith" in stages else "aggregate"
    return Routed(name, collection, _by([first]), worst(ways))


def _of_lookups(pipeline: Sequence[Mapping[str, Any]], *, in_transaction: bool) -> Routed | None:
    """The lookups of `$documents`: each of these goes to the shards of its own value, if that is of the key."""
    lookups = [stage["$lookup"] for stage in pipeline if stage.get("$lookup", {}).get("from") in SHARD_KEYS]
    if not lookups:
        return None
    by = sorted({str(lookup["foreignField"]) for lookup in lookups if "foreignField" in lookup})
    way = REFUSED if in_transaction else worst(_looking_up(lookup) for lookup in lookups)
    return Routed("aggregate ($lookup)", lookups[0]["from"], ", ".join(by), way)


def _looking_up(lookup: Mapping[str, Any]) -> str:
    if lookup.get("foreignField") == SHARD_KEYS[lookup["from"]].first:
        return TARGETED
    inner: Sequence[Mapping[str, Any]] = lookup.get("pipeline", ())
    return _reading(lookup["from"], inner[0].get("$match", {}) if inner else {}, merged=True)


def _by(filters: Iterable[Mapping[str, Any]]) -> str:
    """The fields, of those that say something, that all the filters pin."""
    asked = list(filters)
    return ", ".join(field for field in _TOLD if asked and all(pins(where, field) for where in asked))
