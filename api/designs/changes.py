"""What has happened to a design, as it is for one viewer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from bson import ObjectId
from bson.datetime_ms import DatetimeMS

from api.designs import policy
from api.ids import encode_id
from api.lists.bson_order import nearest
from api.lists.conditions import And, Compare, Condition, may_match, stored_name
from api.live.design_change import DesignChange, DesignPlace, Document
from api.live.kinds import ChangeKind, kind_of
from api.live.tokens import ResumeTokens
from api.rights.policies import LIVE
from api.rights.viewer import Viewer
from documents.design import item_ids_of, layers_of
from documents.last_change import version_of

_FIELDS: Final[Mapping[str, str]] = {
    "name": "name",
    "status": "status",
    "version": "version",
    "createdAt": "createdAt",
    "updatedAt": "updatedAt",
    "deletedAt": "deletedAt",
    "publishedAt": "publishedAt",
    "layers": "layers",
    "metadata": "metadata",
    "userId": "owner",
    "avatarId": "avatar",
}
"""The fields of the type `Design`, by the stored field that they show."""
_TIMES: Final = frozenset(("created_at", "updated_at"))

_OF_DESIGNS: Final = frozenset(
    (
        *("DesignChange", "Design", "DesignLayer", "Position", "Scale", "DesignMetadata", "CanvasSize"),
        *("DesignDiff", "FieldChange", "LayerChange", "LayerMove"),
    )
)
"""The types that show the same to everyone who neither owns the design nor has changed it."""
_WITH_USERS: Final = _OF_DESIGNS | {"User"}
"""Those that show the owner and the author as well: nobody but these two sees more of them."""
_WITH_ITEMS: Final = _OF_DESIGNS | {"CatalogItem", "CatalogItemProperties", "CatalogItemSize"}
"""Those that show items as well, for roles that have no items of their own."""
_WITHOUT_ITEMS: Final = frozenset(("user", "premium"))


@dataclass(frozen=True, slots=True)
class SeenChange:
    """What `DesignChange` shows. Where nothing has happened yet, only the kind and the token say something.

    `before` and `after` are the stored design, as far as the viewer may compare them.
    """

    kind: ChangeKind
    resume_token: str
    design_key: ObjectId | None = None
    version: int | None = None
    changed_fields: tuple[str, ...] = ()
    actor_key: str | None = None
    at: datetime | None = None
    before: Document | None = None
    after: Document | None = None

    @property
    def design_id(self) -> str | None:
        """The global id of the design."""
        return None if self.design_key is None else encode_id("Design", self.design_key)


class DesignQuestion:
    """Which designs somebody follows: those that meet this condition, among those that they may find."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        asked = ("designs", condition)
        self.tokens = ResumeTokens[DesignPlace](asked, DesignPlace.to_json, DesignPlace.from_json)
        self._only = _keys_of(condition)

    def concerns(self, change: DesignChange) -> bool:
        """Whether it may be something to anybody who asks this."""
        if change.before is None and change.after is None:
            return False
        return self._only is None or change.key in self._only

    def start(self, token: str) -> SeenChange:
        """The first event."""
        return SeenChange(ChangeKind.STARTED, token)

    def audience(self, change: DesignChange, viewer: Viewer, types: frozenset[str]) -> Hashable:
        """Who sees the same of a change: everyone of a role but its owner and its author, as far as what is asked for
        shows that to them."""
        if viewer.id is None:
            return "anonymous"
        owners = (each.get("userId") for each in (change.before, change.after) if each is not None)
        is_concerned = any(str(viewer.id) == each for each in (change.actor, *owners))
        has_items = viewer.role not in _WITHOUT_ITEMS
        if not is_concerned and (types <= _WITH_USERS or (types <= _WITH_ITEMS and not has_items)):
            return viewer.role
        return viewer.id, viewer.role

    def answer(self, change: DesignChange, viewer: Viewer) -> SeenChange | None:
        """What a change is to this viewer; None where it is nothing."""
        before, after, unknown = change.before, change.after, change.unknown
        findable = And((LIVE, policy.designs.listed(viewer)))
        found, finds = _meets(findable, before, unknown), _meets(findable, after) is True
        matched = _meets(And((findable, self.condition)), before, unknown)
        matches_now = finds and _meets(self.condition, after) is True
        if matched is None:
            # whoever finds it may as well be told that it doesn't match, though perhaps it never did
            matched = finds and not matches_now
        kind = kind_of(
            before=matched,
            after=matches_now,
            was_live=_meets(LIVE, before, unknown) is not False,
            is_live=_meets(LIVE, after) is True,
            is_new=before is None,
        )
        if kind is None:
            return None
        both = found is True and finds and before is not None and after is not None
        changed = _changed(before, after, unknown) if both else ()
        if kind is ChangeKind.UPDATED and not changed:
            return None  # what changed is nothing that anybody is shown
        edits = viewer.is_admin or (after is not None and _meets(policy.designs.editable(viewer), after) is True)
        return SeenChange(
            kind=kind,
            resume_token=self.tokens.of(change.place),
            design_key=change.key,
            version=version_of(after) if finds and after is not None else None,
            changed_fields=changed,
            actor_key=change.actor if edits or (viewer.id is not None and change.actor == str(viewer.id)) else None,
            at=change.at,
            before=before if both and not unknown else None,
            after=after if both else None,
        )


def _keys_of(condition: Condition) -> frozenset[Any] | None:
    """The designs that alone can meet a condition, where it names them; None where any design may."""
    match condition:
        case Compare("id", "in", keys):
            return frozenset(keys)
        case And(conditions):
            return next((keys for part in conditions if (keys := _keys_of(part)) is not None), None)
    return None


def _changed(before: Document | None, after: Document | None, unknown: frozenset[str]) -> tuple[str, ...]:
    """The fields that have another value, or may have."""
    assert before is not None
    assert after is not None
    differ = [shown for name, shown in _FIELDS.items() if name in unknown or before.get(name) != after.get(name)]
    if "layers" in differ and item_ids_of(layers_of(before)) != item_ids_of(layers_of(after)):
        differ.append("catalogItems")
    return tuple(differ)


def _meets(condition: Condition, design: Document | None, unknown: frozenset[str] = frozenset()) -> bool | None:
    """Whether a stored design meets a condition; None where that depends on what is unknown of it."""
    if design is None:
        return False
    return may_match(condition, partial(_value, design), lambda name: _first(name) not in unknown)


def _first(name: str) -> str:
    return stored_name(name).partition(".")[0]


def _value(design: Document, name: str) -> Any:
    """The value of a field as MongoDB's conditions see it: of another type than the field has, it meets none."""
    value: Any = design
    for part in stored_name(name).split("."):
        if isinstance(value, list):
            value = [each.get(part) for each in value if isinstance(each, Mapping)]
        else:
            value = value.get(part) if isinstance(value, Mapping) else None
    if name in _TIMES:
        value = nearest(value) if isinstance(value, DatetimeMS) else value
        return value if isinstance(value, datetime) else None
    if name == "name":
        return value if isinstance(value, str) else None
    if name == "metadata.tags":
        return value if isinstance(value, list) else None if value is None else [value]
    return value
