"""What has happened to a catalog item, as it is for one viewer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from api.catalog import policy
from api.ids import encode_id
from api.lists.conditions import And, Condition, matches
from api.live.kinds import ChangeKind, kind_of
from api.live.log import RowChange, RowPlace
from api.live.tokens import ResumeTokens
from api.rights.policies import LIVE
from api.rights.viewer import Viewer
from models.catalog_item import TEXT_KEYS

TABLE: Final = "catalog.catalog_items"
_FIELDS: Final[Mapping[str, str]] = {
    "name": "name",
    "description": "description",
    "type": "type",
    "category": "category",
    "properties": "properties",
    "asset_url": "assetUrl",
    "thumbnail_url": "thumbnailUrl",
    "is_premium": "isPremium",
    "is_active": "isActive",
    "price": "price",
    "created_at": "createdAt",
    "updated_at": "updatedAt",
    "created_by": "brand",
}
"""The fields of the type `CatalogItem`, by the column that they show."""
_LONGEST_TEXT: Final = 255
"""The characters of a text in `properties` that filters see."""

_WITHOUT_ITEMS: Final = frozenset({None, "user", "premium"})
_SAME_FOR_ALL: Final = frozenset({"CatalogItemChange", "CatalogItem", "CatalogItemProperties", "CatalogItemSize"})
"""The types that show everyone of a role the same."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ItemChange:
    """What `CatalogItemChange` shows. Where nothing has happened yet, only the kind and the token say something."""

    kind: ChangeKind
    resume_token: str
    item_key: UUID | None = None
    changed_fields: tuple[str, ...] = ()
    actor_key: UUID | None = None
    at: datetime | None = None

    @property
    def item_id(self) -> str | None:
        """The global id of the item."""
        return None if self.item_key is None else encode_id("CatalogItem", self.item_key)


class ItemQuestion:
    """Which items somebody follows: those that meet this condition, among those that they may find."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self.tokens = ResumeTokens[RowPlace]((TABLE, condition), RowPlace.to_json, RowPlace.from_json)

    def concerns(self, change: RowChange) -> bool:
        """Whether an item has changed."""
        return change.table == TABLE

    def start(self, token: str) -> ItemChange:
        """The first event."""
        return ItemChange(ChangeKind.STARTED, token)

    def audience(self, change: RowChange, viewer: Viewer, types: frozenset[str]) -> Hashable:
        """Who sees the same of items where only objects of these types are asked for: by the role alone, for those who
        have no items of their own."""
        if viewer.role in _WITHOUT_ITEMS and types <= _SAME_FOR_ALL:
            return viewer.role
        return viewer.id, viewer.role

    def answer(self, change: RowChange, viewer: Viewer) -> ItemChange | None:
        """What a change is to this viewer; None where it is nothing."""
        before, after = change.before, change.after
        findable = And((LIVE, policy.catalog_items.listed(viewer)))
        found, finds = _meets(findable, before), _meets(findable, after)
        kind = kind_of(
            before=found and _meets(self.condition, before),
            after=finds and _meets(self.condition, after),
            was_live=_meets(LIVE, before),
            is_live=_meets(LIVE, after),
            is_new=before is None,
        )
        if kind is None:
            return None
        return ItemChange(
            kind=kind,
            resume_token=self.tokens.of(change.place),
            item_key=change.key,
            changed_fields=_changed(before, after, viewer) if before and after and found and finds else (),
            actor_key=change.actor_id if viewer.is_admin or change.actor_id == viewer.id else None,
            at=change.at,
        )


def _changed(before: Row, after: Row, viewer: Viewer) -> tuple[str, ...]:
    """The fields that have another value, among those that the viewer may see before and after."""
    hidden = not all(policy.ASSET.allows(viewer, _Premium(row.get("is_premium", False))) for row in (before, after))
    return tuple(
        field
        for column, field in _FIELDS.items()
        if before.get(column) != after.get(column) and not (hidden and column == "asset_url")
    )


@dataclass(frozen=True, slots=True)
class _Premium:
    is_premium: bool


def _meets(condition: Condition, row: Row | None) -> bool:
    return row is not None and matches(condition, partial(_value, row))


def _value(row: Row, name: str) -> Any:
    """The value of a column as the stores' conditions see it, from the JSON of a row."""
    if name in TEXT_KEYS:
        text = _properties(row).get(TEXT_KEYS[name])
        return text[:_LONGEST_TEXT] if isinstance(text, str) else None
    if name == "tags":
        tags = _properties(row).get("tags")
        return [tags] if isinstance(tags, str) else tags if isinstance(tags, list | dict) else None
    value = row.get(name)
    if value is None:
        return None
    if name.endswith("_at"):
        return datetime.fromisoformat(value)
    return UUID(value) if name in ("id", "created_by") else value


def _properties(row: Row) -> Row:
    properties = row.get("properties")
    return properties if isinstance(properties, dict) else {}
