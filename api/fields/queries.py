"""Root fields that belong to no domain."""

from __future__ import annotations

from typing import Annotated, Final, cast

import strawberry

from api.errors import BadUserInput
from api.fields.context import Context
from api.fields.costs import Cost
from api.fields.domain import Domain
from api.fields.lookups import load_view
from api.fields.node import Node
from api.ids import decode_node_id
from api.lists.pagination import MAX_SIZE


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
    domains = info.context.domains
    if type_name in domains.records:
        return await domains.records[type_name].find(key, info._raw_info)
    loader = domains.objects[type_name].loader
    view = await load_view(loader, key, info._raw_info, type_name=type_name, found=True)
    assert view is None or isinstance(view, Node)
    return view


domain: Final = Domain(queries=(NodeQueries,), costs={"Query.nodes": Cost(1, item=1, size=MAX_SIZE, counted="ids")})
"""What belongs to no domain of its own."""
