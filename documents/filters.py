"""Filters and sorts in MongoDB's language, as the repository sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import ASCENDING, DESCENDING

Where = Mapping[str, Any]
"""A filter in MongoDB's own language, by stored (camelCase) names."""


def live(where: Where, include_deleted: bool = False) -> Where:
    """The filter, limited to live documents unless deleted ones are included.

    A live document has no `deletedAt`, or null: Mongoose may have written that.
    """
    if include_deleted:
        return where
    return {"$and": [where, {"deletedAt": None}]} if "deletedAt" in where else {**where, "deletedAt": None}


def sort_keys(sort: Sequence[str], *, paged: bool) -> list[tuple[str, int]] | None:
    """The keys of a sort, with their directions.

    A page needs a total order, so ties are broken by `_id`, in the direction of the last key, as in the indexes.
    """
    keys = [(name.removeprefix("-"), DESCENDING if name.startswith("-") else ASCENDING) for name in sort]
    if (keys or paged) and "_id" not in dict(keys):
        keys.append(("_id", keys[-1][1] if keys else ASCENDING))
    return keys or None
