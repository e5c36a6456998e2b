"""Designs as other programs may have left them: one odd value in each, in every place and of every kind."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bson import ObjectId

MISSING: Final = object()

VALUES: Final[Mapping[str, Any]] = {
    "missing": MISSING,
    "null": None,
    "text": "odd",
    "number": 1e15,
    "object": {"odd": {"odd": 1}},
    "list": ["odd", None, math.nan, {"odd": 1}, ["odd"]],
}

Path = tuple[str | int, ...]


def sound(user_id: str, avatar_id: str, item_id: str) -> dict[str, Any]:
    """A design with something in every place, as this API stores it."""
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    layer = {
        "id": "a",
        "type": "fabric",
        "itemId": item_id,
        "position": {"x": 1.0, "y": 2.0, "z": 3.0},
        "rotation": 4.0,
        "scale": {"x": 5.0, "y": 6.0},
        "color": "red",
        "visible": False,
    }
    return {
        "userId": user_id,
        "name": "Sound",
        "status": "published",
        "layers": [layer, {**copy.deepcopy(layer), "id": "b"}],
        "metadata": {
            "tags": ["one", "two"],
            "description": "Described",
            "thumbnailUrl": "https://example.com/small.png",
            "canvasSize": {"width": 10, "height": 20},
        },
        "avatarId": avatar_id,
        "catalogItemIds": [item_id],
        "version": 4,
        "createdAt": moment,
        "updatedAt": moment,
        "publishedAt": moment,
        "updatedBy": user_id,
        "requestId": "request",
    }


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where something is in a document; of lists the first item stands for all."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, part in value.items():
            yield from places(part, (*path, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def with_odd(document: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """The document with this value in this place."""
    changed = copy.deepcopy(dict(document))
    *way, last = path
    part: Any = changed
    for step in way:
        part = part[step]
    if value is MISSING:
        del part[last]
    else:
        part[last] = copy.deepcopy(value)
    return changed


def odd_documents(document: Mapping[str, Any]) -> dict[tuple[Path, str], dict[str, Any]]:
    """One document a place and a value, with an `_id` of its own."""
    found = {}
    for path in [*places(document), ("deletedAt",)]:
        for name, value in VALUES.items():
            if path != ("deletedAt",) or value is not MISSING:
                found[path, name] = {"_id": ObjectId(), **with_odd(document, path, value)}
    return found
