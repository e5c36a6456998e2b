"""Collection `design_revisions`: all writes of designs but the last ones, each with the content after it.

A write with the number 0 made a version: it is the revision of that. Nothing is validated, since invalid designs have a
history, too. A `pruned` revision has lost its content. `operation` is null where another program made the write, so
that it wasn't recorded; `foreign` says that another program has written between this write and the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from documents.design import is_uuid
from documents.last_change import change_of, is_as_written, since_of, version_of

REVISIONS: Final = "design_revisions"

CONTENT: Final = ("name", "status", "layers", "metadata", "avatarId")
"""The fields that are the content of a version; `catalogItemIds` follows from the layers."""

STATE: Final = (*CONTENT, "deletedAt", "publishedAt")
"""The fields that are kept of a write. `publishedAt` isn't where an older version of this service has kept it."""

KEPT_VERSIONS: Final[Mapping[str, Any]] = {"number": {"$in": [0, None]}, "pruned": None}
"""The condition on revisions that have their content; old ones have no number."""


def revision_of(design: Mapping[str, Any]) -> dict[str, Any]:
    """The current version of a stored design as a revision, without nulls.

    It has `designId`, `version`, the content, and who made it and when (`actorId`, `requestId`, `at`).
    """
    revision = {
        "designId": design["_id"],
        "version": version_of(design),
        **{name: design.get(name) for name in CONTENT},
        "actorId": design.get("updatedBy"),
        "requestId": design.get("requestId"),
        "at": since_of(design),
    }
    if not is_uuid(revision["actorId"]):
        revision["actorId"] = None
    if not isinstance(revision["requestId"], str):
        revision["requestId"] = None
    return {name: value for name, value in revision.items() if value is not None}


def write_of(design: Mapping[str, Any]) -> dict[str, Any]:
    """The last write of a stored design, in the form in which it is kept."""
    change = change_of(design)
    if change is None:
        return {**revision_of(design), "number": 0, "operation": None}
    told = ("number", "previous", "operation", "at", "actorId", "requestId")
    written = {
        "designId": design["_id"],
        "version": change.get("version") or version_of(design),
        **{name: design.get(name) for name in STATE},
        **{name: change.get(name) for name in told},
        "foreign": None if is_as_written(design) else True,
    }
    return {name: value for name, value in written.items() if value is not None}
