"""The audit log as one list, merged from three: `audit.audit_log`, earlier writes of designs, and the last one of each.

Each is asked for one entry more than the page has.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

import models
from api.audit.conditions import in_log, in_versions
from api.audit.entry import DESIGNS, LOG, VERSIONS, Entry, SortKey, WriteKey, sort_key_of
from api.lists.conditions import Condition, both, stored_name, to_mongo, to_sql
from api.lists.pagination import PageRequest
from api.rights.policies import NOTHING
from api.stores.stores import Stores
from api.uuids import uuid_of
from documents.last_change import CHANGE, INSERT, UPDATE, is_as_written
from documents.schemas import DESIGNS as CURRENT
from documents.schemas import REVISIONS
from models import PostgresRepository

Document = dict[str, Any]

_COLUMNS: Final = models.AuditEntry.__table__.c
_FILTERED: Final[Mapping[str, ColumnElement[Any]]] = {**_COLUMNS, "kind": _COLUMNS.table_name}
_CONTENT: Final = ("name", "status", "layers", "metadata", "avatarId", "deletedAt")
_VALUES: Final = frozenset(("old_values", "new_values"))
_BESIDE: Final = ("previous", "foreign")

# the names of a write's fields in the two collections
_NAMES: Final = {
    REVISIONS.name: {
        **{"at": "at", "record_id": "designId", "actor_id": "actorId", "request_id": "requestId"},
        **{"operation": "operation", "version": "version", "number": "number"},
    },
    CURRENT.name: {
        **{"at": "change.at", "record_id": "_id", "actor_id": "change.actorId", "request_id": "change.requestId"},
        **{"operation": "change.operation", "version": "change.version", "number": "change.number"},
    },
}
_ORDERED_BY: Final = {REVISIONS.name: ("at", "record_id", "version"), CURRENT.name: ("at", "record_id")}


async def page(stores: Stores, request: PageRequest, columns: frozenset[str]) -> list[Entry]:
    """At most one entry more than the page has, in the order of fetching."""
    versions = in_versions(request.condition)
    found = await asyncio.gather(
        _log(stores, request, columns), *(_versions(stores, name, versions, request, columns) for name in _NAMES)
    )
    # while the next write is being made, a write is in both collections
    entries = {entry.sort_key: entry for part in reversed(found) for entry in part}
    sort_keys = sorted(entries, reverse=not request.backwards)[: request.size + 1]
    if "old_values" in columns:
        return await _with_old_values(stores, [entries[each] for each in sort_keys])
    return [entries[each] for each in sort_keys]


async def count(stores: Stores, condition: Condition) -> int:
    """How many entries there are in all."""
    where = to_sql(in_log(condition), _FILTERED)
    statement = select(func.count()).select_from(models.AuditEntry).where(where)
    versions = in_versions(condition)
    counts = await asyncio.gather(
        _read(stores, statement), *(_count_versions(stores, name, versions) for name in _NAMES)
    )
    rows, *others = counts
    total: int = rows[0][0] + sum(others)
    return total


async def _count_versions(stores: Stores, collection: str, condition: Condition) -> int:
    if condition == NOTHING:
        return 0
    where = both(to_mongo_of(collection, condition), _recorded(collection))
    counted: int = await stores.database[collection].count_documents(where)
    return counted


async def _read(stores: Stores, statement: Select[Any]) -> Sequence[Any]:
    return await PostgresRepository(models.AuditEntry, stores.reads, stores.sessions).read_statement(statement)


async def one(stores: Stores, key: UUID | WriteKey, columns: frozenset[str]) -> Entry | None:
    """One entry: of the log by its key, or of a write of a design. None where it is not kept."""
    if isinstance(key, UUID):
        found = await _log_entries(stores, columns, lambda statement: statement.where(_COLUMNS.id == key))
        return found[0] if found else None
    design, version, number = (*key, 0)[:3]
    for collection, names in _NAMES.items():
        which = {names["record_id"]: design, names["version"]: version, names["number"]: number}
        document = await stores.database[collection].find_one(
            both(which, _recorded(collection)), _fields(collection, columns)
        )
        if document is not None:
            entries = [_write_entry(collection, document)]
            return (await _with_old_values(stores, entries) if "old_values" in columns else entries)[0]
    return None


async def _log(stores: Stores, request: PageRequest, columns: frozenset[str]) -> list[Entry]:
    condition = in_log(request.condition)
    if condition == NOTHING:
        return []

    def narrowed(statement: Select[Any]) -> Select[Any]:
        by = (_COLUMNS.at, _COLUMNS.id)
        return (
            statement.where(to_sql(condition, _FILTERED), *_log_bounds(request))
            .order_by(*(column.asc() if request.backwards else column.desc() for column in by))
            .limit(request.size + 1)
        )

    return await _log_entries(stores, columns, narrowed)


async def _log_entries(
    stores: Stores, columns: frozenset[str], narrowed: Callable[[Select[Any]], Select[Any]]
) -> list[Entry]:
    wanted = ("id", "table_name", "record_id", "operation", "actor_id", "request_id", "at", *sorted(columns & _VALUES))
    statement = narrowed(select(*(_COLUMNS[name] for name in wanted)))
    return [
        Entry(
            sort_key=SortKey(row.at, LOG, row.id, 0),
            kind=row.table_name,
            operation=row.operation,
            record_key=row.record_id,
            actor_key=row.actor_id,
            request_id=row.request_id,
            old_values=getattr(row, "old_values", None),
            new_values=getattr(row, "new_values", None),
        )
        for row in await _read(stores, statement)
    ]


def _log_bounds(request: PageRequest) -> list[ColumnElement[bool]]:
    bounds: list[ColumnElement[bool]] = []
    for position, older in ((request.after, True), (request.before, False)):
        if position is None:
            continue
        bound, at, id = sort_key_of(position), _COLUMNS.at, _COLUMNS.id
        if bound.source != LOG:  # of the same moment, the log's entries count as older
            bounds.append(at <= bound.at if older else at > bound.at)
        elif older:
            bounds.append(and_(at <= bound.at, or_(at < bound.at, id < bound.key)))
        else:
            bounds.append(and_(at >= bound.at, or_(at > bound.at, id > bound.key)))
    return bounds


async def _versions(
    stores: Stores, collection: str, condition: Condition, request: PageRequest, columns: frozenset[str]
) -> list[Entry]:
    if condition == NOTHING:
        return []
    names, direction = _NAMES[collection], 1 if request.backwards else -1
    sort = [(names[name], direction) for name in _ORDERED_BY[collection]]
    where = both(to_mongo_of(collection, condition), _recorded(collection), *_version_bounds(request, names))
    cursor = stores.database[collection].find(where, _fields(collection, columns), sort=sort, limit=request.size + 1)
    return [_write_entry(collection, document) for document in await cursor.to_list()]


def _fields(collection: str, columns: frozenset[str]) -> list[str]:
    told = (CHANGE, "updatedAt") if collection == CURRENT.name else (*_NAMES[collection].values(), *_BESIDE)
    return [*told, *(_CONTENT if columns & _VALUES else ())]


def _write_entry(collection: str, document: Document) -> Entry:
    current = collection == CURRENT.name
    write, key = (document[CHANGE], document["_id"]) if current else (document, document["designId"])
    as_written = is_as_written(document) if current else not document.get("foreign")
    return Entry(
        sort_key=SortKey(write["at"], VERSIONS, key, int(write["version"])),
        kind=DESIGNS,
        operation=write["operation"],
        record_key=key,
        actor_key=uuid_of(write.get("actorId")),
        request_id=write.get("requestId"),
        number=int(write.get("number") or 0),
        previous=int(write.get("previous") or 0),
        new_values=_content(document) if as_written else None,
    )


def _version_bounds(request: PageRequest, names: Mapping[str, str]) -> list[Document]:
    return [
        _version_bound(sort_key_of(position), names, older=older)
        for position, older in ((request.after, True), (request.before, False))
        if position is not None
    ]


def _version_bound(bound: SortKey, names: Mapping[str, str], *, older: bool) -> Document:
    at, id, beyond = names["at"], names["record_id"], "$lt" if older else "$gt"
    if bound.source != VERSIONS:
        # of the same moment, versions count as newer; BSON would cut the microseconds off
        whole = bound.at.microsecond % 1000 == 0
        return {at: {("$lt" if whole else "$lte") if older else ("$gte" if whole else "$gt"): bound.at}}
    return {
        at: {f"{beyond}e": bound.at},
        "$or": [
            {at: {beyond: bound.at}},
            {id: {beyond: bound.key}},
            {id: bound.key, names["version"]: {beyond: bound.version}},
        ],
    }


def to_mongo_of(collection: str, condition: Condition) -> Document:
    """The condition on versions as a filter of this collection."""
    names = _NAMES[collection]
    where: Document = _renamed(to_mongo(condition), {stored_name(name): names[name] for name in names})
    return where


def _renamed(part: Any, names: Mapping[str, str]) -> Any:
    if isinstance(part, dict):
        return {names.get(key, key): _renamed(value, names) for key, value in part.items()}
    return [_renamed(value, names) for value in part] if isinstance(part, list) else part


def _recorded(collection: str) -> Document:
    """The condition that a write was recorded, which isn't so for writes of other programs."""
    return {_NAMES[collection]["operation"]: {"$in": [INSERT, UPDATE]}}


async def _with_old_values(stores: Stores, entries: Sequence[Entry]) -> list[Entry]:
    """The entries; those of designs with the content before the write, where it is kept."""
    before = {entry.id: _before(entry) for entry in entries if entry.kind == DESIGNS}
    wanted = [
        {"designId": key, "version": version, "number": number} for key, version, number in before.values() if version
    ]
    if not wanted:
        return list(entries)
    cursor = stores.database[REVISIONS.name].find({"$or": wanted}, ["designId", "version", "number", *_CONTENT])
    kept = {(found["designId"], found["version"], found["number"]): _content(found) for found in await cursor.to_list()}
    return [
        dataclasses.replace(entry, old_values=kept.get(before[entry.id])) if entry.kind == DESIGNS else entry
        for entry in entries
    ]


def _before(entry: Entry) -> tuple[Any, int, int]:
    """The key of the previous write; its version is 0 where there was none."""
    if entry.number:
        return entry.record_key, entry.sort_key.version, entry.number - 1
    return entry.record_key, entry.sort_key.version - 1, entry.previous


def _content(document: Document) -> Document | None:
    """The content after a write; None where it was pruned."""
    return {name: _plain(document[name]) for name in _CONTENT if name in document} or None


def _plain(value: Any) -> Any:
    """The value as JSON. ObjectIds, which the original service left in parts of documents, become text."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, (str, int, float)) else str(value)
