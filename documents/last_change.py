"""The last write of a design, as it is recorded in the design: its version, time, author and request.

`change` is set in the same atomic update as the write that it describes, and is copied to `design_revisions` before the
next write replaces it. A write that makes a version has the `number` 0. Writes that don't (deleting, restoring) follow
as 1, 2, ... `previous` is the number of the last write of the previous version, and `since` is when the version was
made. `at` grows with every write of a design, whatever the clocks say, so it identifies the write. `updatedAt` is the
design's at that time: if the design has another one now, another program has written it since.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bson import ObjectId

from documents.base import utc_now

CHANGE: Final = "change"
INSERT: Final = "INSERT"
UPDATE: Final = "UPDATE"

FIRST: Final = 1
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def change_of(design: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The last write of a stored design; None where none was recorded, since another program made the design."""
    change = design.get(CHANGE)
    return change if isinstance(change, Mapping) and isinstance(change.get("at"), datetime) else None


def is_as_written(design: Mapping[str, Any]) -> bool:
    """Whether the stored design is as the last recorded write left it."""
    change = change_of(design)
    return change is not None and change.get("updatedAt") == design.get("updatedAt")


def first_change(version: int, at: datetime, actor_id: str | None, request_id: str | None) -> dict[str, Any]:
    """The first recorded write of a design, which made this version. `at` is the design's `updatedAt`."""
    change = {
        "version": version,
        "number": 0,
        "operation": INSERT if version == 1 else UPDATE,
        "at": at,
        "since": at,
        "updatedAt": at,
        "actorId": actor_id,
        "requestId": request_id,
    }
    return {name: value for name, value in change.items() if value is not None}


def next_change(
    design: Mapping[str, Any], actor_id: str | None, request_id: str | None, *, version: int | None = None
) -> dict[str, Any]:
    """The next write of a stored design. It makes this version, or none if none is given.

    A caller that also sets the design's `updatedAt` uses `at` for it; else `updatedAt` stays.
    """
    last, now = change_of(design), utc_now()
    number, at = (0, now) if last is None else (int(last["number"]), max(now, _aware(last["at"]) + _MILLISECOND))
    if version is None:
        version = version_of(design)
        made = {"number": number + 1, "since": since_of(design)}
    else:
        made = {"number": 0, "previous": number, "since": at}
    change = {
        "version": version,
        "operation": UPDATE,
        "at": at,
        "updatedAt": design.get("updatedAt"),
        "actorId": actor_id,
        "requestId": request_id,
        **made,
    }
    return {name: value for name, value in change.items() if value is not None}


def as_read(design: Mapping[str, Any]) -> dict[str, Any]:
    """The condition that nobody has written the design since it was read, as far as the design shows."""
    change = change_of(design)
    at = {CHANGE: {"$eq": design.get(CHANGE)}} if change is None else {f"{CHANGE}.at": change["at"]}
    return {**key_of(design), "version": {"$eq": design.get("version")}, **at}


def key_of(design: Mapping[str, Any]) -> dict[str, Any]:
    """The condition that finds the stored design: its id, and the owner, by whom designs are sharded."""
    owner = {"userId": {"$eq": design["userId"]}} if "userId" in design else {}
    return {"_id": design["_id"], **owner}


def version_of(design: Mapping[str, Any]) -> int:
    """The version of a stored design, as it is shown.

    It is 1 where none is stored, or the stored one is no 32-bit integer.
    """
    stored = design.get("version")
    if not isinstance(stored, (int, float, str)) or (isinstance(stored, float) and not stored.is_integer()):
        return FIRST
    try:
        number = int(stored)
    except ValueError:
        return FIRST
    return number if -(2**31) <= number < 2**31 else FIRST


def is_version(stored: Any) -> bool:
    """Whether a stored value is a valid version."""
    whole = isinstance(stored, int) or (isinstance(stored, float) and stored.is_integer())
    return whole and not isinstance(stored, bool) and 1 <= stored < 2**31


def made_at(stored: Mapping[str, Any]) -> datetime:
    """When a design was made, by its id; if the id doesn't tell, the beginning of time."""
    id = stored.get("designId", stored.get("_id"))
    return id.generation_time if isinstance(id, ObjectId) else EPOCH


def since_of(design: Mapping[str, Any]) -> datetime:
    """When the current version of a stored design was made, as far as it is known."""
    times = (change_of(design) or {}).get("since"), design.get("updatedAt"), design.get("createdAt")
    return next((time for time in times if isinstance(time, datetime)), None) or made_at(design)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
