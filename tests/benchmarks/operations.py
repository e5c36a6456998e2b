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
_WINDOW = "($since: DateTime!, $until: DateTime!)"
_CREATED = "createdAt: {gte: $since, lt: $until}"


@dataclass(frozen=True)
class Operation:
    """One request. `as_admin`: with an access token, which the baseline doesn't look at.

    `differing` is the query for requests that don't ask the same, with variables that say what; empty where they can't
    differ.
    """

    name: str
    description: str
    query: str
    differing: str = ""
    variables: dict[str, Any] = field(default_factory=dict)
    as_admin: bool = False

    @property
    def body(self) -> bytes:
        return orjson.dumps({"operationName": self.name, "query": self.query, "variables": self.variables})


def operations(design_id: str) -> list[Operation]:
    """All of them; `design_id` is the global id of a published design."""
    one_design = f"query oneDesign($id: ID!) {{ design(id: $id) {{ {_DESIGN} }} }}"
    return [
        Operation("catalogPage", "a catalogue page of 50", _catalog_page(), _catalog_page(_WINDOW, _CREATED)),
        Operation("designBoard", "20 designs with everything", _design_board(), _design_board(_WINDOW, _CREATED)),
        Operation(
            "userTree",
            "20 users, their avatars and designs",
            _user_tree(),
            _user_tree(_WINDOW, f"filter: {{{_CREATED}}}"),
            as_admin=True,
        ),
        Operation("oneDesign", "one design with everything", one_design, one_design, {"id": design_id}),
        Operation("health", "health", "query health { health { status } }"),
    ]


def _catalog_page(variables: str = "", created: str = "") -> str:
    return f"""
        query catalogPage{variables} {{ catalogItems(first: 50, filter: {{type: FABRIC {created}}}) {{
            nodes {{
                id name type category price isPremium thumbnailUrl properties {{ color material texture tags }}
            }}
            {_PAGE_INFO}
        }} }}
    """


def _design_board(variables: str = "", created: str = "") -> str:
    return f"""
        query designBoard{variables} {{ designs(first: 20, filter: {{status: PUBLISHED {created}}}) {{
            nodes {{ {_DESIGN} }}
            {_PAGE_INFO}
        }} }}
    """


def _user_tree(variables: str = "", created: str = "") -> str:
    # the oldest first: they have the most
    return f"""
        query userTree{variables} {{
            users(first: 20, {created} orderBy: {{field: CREATED_AT, direction: ASC}}) {{ nodes {{
                id firstName
                avatars(first: 5) {{ nodes {{ id name }} }}
                designs(first: 5) {{ nodes {{ id name status }} }}
            }} }}
        }}
    """


_CURSORS: Final = frozenset(("endCursor",))


def comparable(answer: bytes) -> Any:
    """What both must agree about: everything but cursors, which each makes in its own way, and `extensions`."""
    return _without_cursors(orjson.loads(answer)["data"])


def _without_cursors(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_cursors(part) for name, part in value.items() if name not in _CURSORS}
    return [_without_cursors(part) for part in value] if isinstance(value, list) else value
