"""Collection `design_revisions`: what a design was, one document a version that it has left behind.

A revision repeats what was stored and is not validated: a design that was invalid before has a history too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bson import ObjectId

from documents.design import is_uuid

REVISIONS: Final = "design_revisions"

FIRST: Final = 1
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
CONTENT: Final = ("name", "status", "layers", "metadata", "avatarId")
"""What a version of a design consists of; `catalogItemIds` follows from the layers."""


def version_of(design: Mapping[str, Any]) -> int:
    """The version of a stored design, as it is shown: one from before versions were counted is the first, and so is
    one of which the version is no whole number of 32 bits."""
    stored = design.get("version")
    if not isinstance(stored, (int, float, str)) or (isinstance(stored, float) and not stored.is_integer()):
        return FIRST
    try:
        number = int(stored)
    except ValueError:
        return FIRST
    return number if -(2**31) <= number < 2**31 else FIRST


def is_version(stored: Any) -> bool:
    """Whether what is stored counts the changes of a design."""
    whole = isinstance(stored, int) or (isinstance(stored, float) and stored.is_integer())
    return whole and not isinstance(stored, bool) and 1 <= stored < 2**31


def made_at(stored: Mapping[str, Any]) -> datetime:
    """When a design was made, as its id tells; for what can't tell, the beginning of time."""
    id = stored.get("designId", stored.get("_id"))
    return id.generation_time if isinstance(id, ObjectId) else EPOCH


def revision_of(design: Mapping[str, Any]) -> dict[str, Any]:
    """The stored design as a revision: `designId`, `version`, its content, who made it and when (`actorId`,
    `requestId`, `at`); absent where null."""
    times = design.get("updatedAt"), design.get("createdAt")
    revision = {
        "designId": design["_id"],
        "version": version_of(design),
        **{name: design.get(name) for name in CONTENT},
        "actorId": design.get("updatedBy"),
        "requestId": design.get("requestId"),
        "at": next((time for time in times if isinstance(time, datetime)), None) or made_at(design),
    }
    if not is_uuid(revision["actorId"]):
        revision["actorId"] = None
    if not isinstance(revision["requestId"], str):
        revision["requestId"] = None
    return {name: value for name, value in revision.items() if value is not None}
