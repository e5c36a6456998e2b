"""What may happen to an object, as clients are told."""

from __future__ import annotations

from enum import Enum

import strawberry


@strawberry.enum(description="What has happened to an object. More may come: read the object for one you don't know.")
class ChangeKind(Enum):
    STARTED = strawberry.enum_value(
        "started",
        description="Nothing yet, and it is the first event: what is read from now on, and kept up by the events that "
        "follow, is whole. It doesn't come where a subscription is resumed.",
    )
    CREATED = strawberry.enum_value("created", description="It is new.")
    UPDATED = strawberry.enum_value("updated", description="It has changed, and matches the filter as before.")
    DELETED = strawberry.enum_value("deleted", description="It was deleted.")
    RESTORED = strawberry.enum_value("restored", description="It was deleted, and has come back.")
    ENTERED = strawberry.enum_value(
        "entered", description="It has begun to match the filter, or to be one that the viewer finds."
    )
    LEFT = strawberry.enum_value(
        "left", description="It no longer matches the filter, or is none any more that the viewer finds."
    )


def kind_of(*, before: bool, after: bool, was_live: bool, is_live: bool, is_new: bool) -> ChangeKind | None:
    """What has happened to an object that matched before or does now; None where it did neither.

    `was_live` and `is_live` say whether it was there, and not deleted.
    """
    if before and after:
        return ChangeKind.UPDATED
    if after:
        return ChangeKind.CREATED if is_new else ChangeKind.ENTERED if was_live else ChangeKind.RESTORED
    if before:
        return ChangeKind.LEFT if is_live else ChangeKind.DELETED
    return None
