"""Checks all designs in batches: their owners, their references, and the fields derived from their layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pymongo.errors import OperationFailure
from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as UUIDType

from api.designs import revision_store, store
from api.fields.context import Context
from api.reconcile.report import Progress, Report
from api.reconcile.users import UNDER_WAY, still_deleted
from documents import Design, MongoRepository, truncate
from documents.last_change import CHANGE, as_read, next_change, version_of
from models import Avatar, CatalogItem, User

FIELDS: Final = ("userId", "avatarId", "catalogItemIds", "version", "deletedAt", "layers.itemId")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Known:
    """The keys to which a batch refers and that exist in PostgreSQL, deleted rows included."""

    users: frozenset[UUID]
    deleted_users: frozenset[UUID]
    avatars: frozenset[UUID]
    items: frozenset[UUID]


async def check_designs(context: Context, report: Report, *, repair: bool, batch: int, progress: Progress) -> None:
    """Compare every design with PostgreSQL and with itself."""
    designs = MongoRepository(Design, context.stores.database)
    done, total = 0, await designs.collection.estimated_document_count()
    where: Document = {}
    while found := await designs.read(FIELDS, where=where, sort=["_id"], limit=batch, include_deleted=True):
        where = {"_id": {"$gt": found[-1]["_id"]}}
        await _check_references(context, report, [each for each in found if each.get("deletedAt") is None], repair)
        await _check_derived(context, report, found, repair)
        done += len(found)
        progress("designs", done, max(done, total))


async def _check_references(context: Context, report: Report, found: Sequence[Document], repair: bool) -> None:
    known = await _look_up(context, found)
    orphans: dict[UUID, list[Any]] = {}
    for design in found:
        owner = _uuid(design.get("userId"))
        if owner is None or owner not in known.users:
            report.ownerless_designs.remaining += report.ownerless_designs.add([design["_id"]])
        elif owner in known.deleted_users:
            orphans.setdefault(owner, []).append(design["_id"])
        if design.get("avatarId") is not None and _uuid(design["avatarId"]) not in known.avatars:
            report.dangling_avatars.remaining += report.dangling_avatars.add([design["_id"]])
        if any(_uuid(item) not in known.items for item in _items(design)):
            report.dangling_items.remaining += report.dangling_items.add([design["_id"]])
    tally = report.orphaned_designs
    number = tally.add(id for ids in orphans.values() for id in ids)
    if not repair:
        tally.remaining += number
    elif orphans:
        tally.repaired += await _take(context, orphans)


async def _take(context: Context, orphans: dict[UUID, list[Any]]) -> int:
    """Delete designs as if they had been deleted with their owners. Returns how many were still live.

    Designs whose owner is restored meanwhile are restored again, since that restoration may have missed them.
    """
    taken: dict[UUID, int] = {}
    deleted, by = await still_deleted(context, orphans), {"requestId": context.request_id}
    for owner, moment in deleted.items():
        where: Document = {"_id": {"$in": orphans[owner]}, "userId": str(owner), "deletedAt": None}
        taken[owner] = await revision_store.mark_all(context.stores, where, by, truncate(moment))
    still = await still_deleted(context, taken)
    for owner in taken:
        if still.get(owner) != deleted[owner]:
            where = {"_id": {"$in": orphans[owner]}, "userId": str(owner), "deletedAt": truncate(deleted[owner])}
            await revision_store.mark_all(context.stores, where, by, None)
            taken[owner] = 0
    return sum(taken.values())


async def _check_derived(context: Context, report: Report, found: Sequence[Document], repair: bool) -> None:
    """Compare `catalogItemIds` with the layers.

    Every write of layers writes both, and another version. So a design that has changed since it was read is right, and
    is left alone.
    """
    wrong = [
        design for design in found if sorted(map(str, design.get("catalogItemIds") or ())) != sorted(_items(design))
    ]
    tally = report.wrong_catalog_item_ids
    tally.add(design["_id"] for design in wrong)
    if not repair:
        tally.remaining += len(wrong)
        return
    for design in wrong:
        try:
            tally.repaired += await _derive(context, design)
        except OperationFailure:  # a design that the validator refuses must not keep others from being repaired
            tally.remaining += 1


async def _derive(context: Context, seen: Document) -> bool:
    """Make a version whose `catalogItemIds` are the items of its layers, unless the design was changed since it was
    read.

    The previous version is kept, as with any other change. The new one has no author.
    """
    design = await store.whole(context.stores, seen["_id"])
    if design is None or design.get("version") != seen.get("version"):
        return False
    await revision_store.keep(context.stores, [design])
    change = next_change(design, None, context.request_id, version=version_of(design) + 1)
    change["updatedAt"] = change["at"]
    values = {
        "catalogItemIds": _items(design),
        "version": change["version"],
        "updatedAt": change["at"],
        "requestId": context.request_id,
        CHANGE: change,
    }
    changed = await store.repository(context.stores).collection.update_one(
        as_read(design), {"$set": values, "$unset": {"updatedBy": ""}}
    )
    return changed.modified_count == 1


async def _look_up(context: Context, found: Sequence[Document]) -> _Known:
    """Three statements, one a table."""
    users = _keys(design.get("userId") for design in found)
    avatars = _keys(design.get("avatarId") for design in found)
    items = _keys(item for design in found for item in _items(design))
    async with context.stores.sessions() as session:
        owners = (
            await session.execute(
                select(User.id, User.deleted_at.is_not(None) & ~UNDER_WAY).where(_any_of(User.id, users))
            )
        ).all()
        known_avatars = await session.scalars(select(Avatar.id).where(_any_of(Avatar.id, avatars)))
        known_items = await session.scalars(select(CatalogItem.id).where(_any_of(CatalogItem.id, items)))
        return _Known(
            users=frozenset(id for id, _ in owners),
            deleted_users=frozenset(id for id, deleted in owners if deleted),
            avatars=frozenset(known_avatars),
            items=frozenset(known_items),
        )


def _any_of(column: Any, keys: list[UUID]) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = column == func.any(literal(keys, ARRAY(UUIDType(as_uuid=True))))
    return condition


def _items(design: Document) -> list[str]:
    """The distinct items of the layers, in the order of their first use."""
    layers = design.get("layers")
    named = (layer.get("itemId") for layer in (layers if isinstance(layers, list) else ()) if isinstance(layer, dict))
    return list(dict.fromkeys(str(item) for item in named if item is not None))


def _keys(texts: Iterable[Any]) -> list[UUID]:
    return list({key for key in map(_uuid, texts) if key is not None})


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None
