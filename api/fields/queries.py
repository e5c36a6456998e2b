"""Root fields that belong to no domain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, cast

import strawberry

from api.errors import BadUserInput
from api.fields.context import Context
from api.fields.lookups import load_view
from api.fields.node import Node
from api.fields.selection import ResolveInfo
from api.ids import decode_node_id
from api.lists.pagination import MAX_SIZE

Find = Callable[[Any, ResolveInfo], Awaitable[Node | None]]
FIND_OTHERS: Final[dict[str, Find]] = {}
"""How nodes are found by their key that no loader of objects has; filled where the domains are put together."""
LOADER_OF: Final = {"User": "user", "Avatar": "avatar", "CatalogItem": "catalog_item", "Design": "design"}


@strawberry.type
class NodeQueries:
    @strawberry.field(description="Any object by its id; null where there is none.")
    async def node(
        self,
        info: strawberry.Info[Context],
        id: Annotated[strawberry.ID, strawberry.argument(description="Its global id.")],
    ) -> Node | None:
        return await _node(id, info)

    @strawberry.field(description="Objects by their ids, in the order of the ids; null where there is none.")
    def nodes(
        self,
        info: strawberry.Info[Context],
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="Their global ids, at most 100.")],
    ) -> list[Node | None] | None:
        if len(ids) > MAX_SIZE:
            raise BadUserInput(f"nodes takes at most {MAX_SIZE} ids; these are {len(ids)}.")
        # the executor awaits each, so that one that fails leaves the others standing
        return cast("list[Node | None]", [_node(id, info) for id in ids])


async def _node(global_id: str, info: strawberry.Info[Context]) -> Node | None:
    type_name, key = decode_node_id(global_id)
    if (find := FIND_OTHERS.get(type_name)) is not None:
        return await find(key, info._raw_info)
    view = await load_view(LOADER_OF[type_name], key, info._raw_info, type_name=type_name, found=True)
    assert view is None or isinstance(view, Node)
    return view
