"""What a design says of its last write: which, when, by whom, by which request.

`change` is set in the same atomic update as what it tells of, and is kept in `design_revisions` before the next write
takes its place. A write that makes a version has the `number` 0, those that leave the version (a deletion, a
restoration) follow as 1, 2, ...; `previous` is the number of the last write of the version before, and `since` is when
the version was made. `at` grows from write to write of a design, whatever the clocks say, and so tells them apart.
`updatedAt` is the design's then: where that is another by now, another program has written since.
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
    """Whether what is stored is what the last recorded write has left."""
    change = change_of(design)
    return change is not None and change.get("updatedAt") == design.get("updatedAt")


def first_change(version: int, at: datetime, actor_id: str | None, request_id: str | None) -> dict[str, Any]:
    """The write that made a version before which nothing was recorded; `at` is the design's `updatedAt`."""
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
    """The write that follows the last one of a stored design, and makes this version; none where it isn't given.

    Whoever sets the design's `updatedAt` with it takes `at`, and says so in it; else that stays.
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
    """The condition that nobody has written the design since it was read, as far as it tells."""
    change = change_of(design)
    at = {CHANGE: {"$eq": design.get(CHANGE)}} if change is None else {f"{CHANGE}.at": change["at"]}
    return {"_id": design["_id"], "version": {"$eq": design.get("version")}, **at}


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


def since_of(design: Mapping[str, Any]) -> datetime:
    """When the version of a stored design was made, as far as it is known."""
    times = (change_of(design) or {}).get("since"), design.get("updatedAt"), design.get("createdAt")
    return next((time for time in times if isinstance(time, datetime)), None) or made_at(design)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
