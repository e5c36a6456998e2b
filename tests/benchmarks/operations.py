"""The operations that are measured, of the API and of the baseline alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import orjson

_DESIGN = """
    id name status version updatedAt
    layers { layerId type position { x y z } catalogItem { id name thumbnailUrl } }
    metadata { tags description }
    owner { id firstName lastName }
    avatar { id name gender }
"""
_PAGE_INFO = "pageInfo { hasNextPage endCursor }"


@dataclass(frozen=True)
class Operation:
    """One request. `as_admin`: with an access token, which the baseline doesn't look at."""

    name: str
    description: str
    query: str
    variables: dict[str, Any] = field(default_factory=dict)
    as_admin: bool = False

    @property
    def body(self) -> bytes:
        return orjson.dumps({"operationName": self.name, "query": self.query, "variables": self.variables})


def operations(design_id: str) -> list[Operation]:
    """All of them; `design_id` is the global id of a published design."""
    return [
        Operation(
            "catalogPage",
            "a catalogue page of 50",
            "query catalogPage { catalogItems(first: 50, filter: {type: FABRIC}) { nodes { id name type category price "
            f"isPremium thumbnailUrl properties {{ color material texture tags }} }} {_PAGE_INFO} }} }}",
        ),
        Operation(
            "designBoard",
            "20 designs with everything",
            f"query designBoard {{ designs(first: 20, filter: {{status: PUBLISHED}}) {{ nodes {{ {_DESIGN} }} "
            f"{_PAGE_INFO} }} }}",
        ),
        Operation(
            "userTree",
            "20 users, their avatars and designs",
            # the oldest: they have the most
            "query userTree { users(first: 20, orderBy: {field: CREATED_AT, direction: ASC}) { nodes { id firstName "
            "avatars(first: 5) { nodes { id name } } "
            "designs(first: 5) { nodes { id name status } } } } }",
            as_admin=True,
        ),
        Operation(
            "oneDesign",
            "one design with everything",
            f"query oneDesign($id: ID!) {{ design(id: $id) {{ {_DESIGN} }} }}",
            {"id": design_id},
        ),
        Operation("health", "health", "query health { health { status } }"),
    ]


_CURSORS: Final = frozenset(("endCursor",))


def comparable(answer: bytes) -> Any:
    """What both must agree about: everything but cursors, which each makes in its own way, and `extensions`."""
    return _without_cursors(orjson.loads(answer)["data"])


def _without_cursors(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_cursors(part) for name, part in value.items() if name not in _CURSORS}
    return [_without_cursors(part) for part in value] if isinstance(value, list) else value
