"""Collection `design_revisions`: what a design was, one document a version that it has left behind.

A revision repeats what was stored and is not validated: a design that was invalid before has a history too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

REVISIONS: Final = "design_revisions"

CONTENT: Final = ("name", "status", "layers", "metadata", "avatarId")
"""What a version of a design consists of; `catalogItemIds` follows from the layers."""


def version_of(design: Mapping[str, Any]) -> int:
    """The version of a stored design; one from before versions were counted is the first."""
    return int(design.get("version") or 1)


def revision_of(design: Mapping[str, Any]) -> dict[str, Any]:
    """The stored design as a revision: `designId`, `version`, its content, who made it and when (`actorId`,
    `requestId`, `at`); absent where null."""
    revision = {
        "designId": design["_id"],
        "version": version_of(design),
        **{name: design.get(name) for name in CONTENT},
        "actorId": design.get("updatedBy"),
        "requestId": design.get("requestId"),
        "at": design.get("updatedAt") or design.get("createdAt") or design["_id"].generation_time,
    }
    return {name: value for name, value in revision.items() if value is not None}
