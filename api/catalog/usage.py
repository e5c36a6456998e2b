"""How much catalog items are used: for their brand and for admins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import strawberry

from api.execution import Loading
from api.fields.resolvers.base import Values, WithoutArguments
from api.fields.selection import ResolveInfo
from api.lists.conditions import matches
from api.stores.views import Part, read


@strawberry.type(description="How much an item is used, by people of whatever kind. Deleted designs don't count.")
class CatalogItemUsage(Part):
    designs: int = strawberry.field(description="How many designs have a layer that shows it, drafts too.")
    users: int = strawberry.field(description="How many people these designs belong to.")


@dataclass(frozen=True, slots=True)
class Usage(WithoutArguments):
    """The usage of each item that the viewer may change; null for other items. One command for all of them."""

    def load(self, sources: Sequence[object], info: ResolveInfo, arguments: None) -> Values:
        context = info.context
        theirs = context.policy("CatalogItem").editable(context.viewer)
        keys = [read(item, "id") if matches(theirs, partial(read, item)) else None for item in sources]
        wanted = [key for key in keys if key is not None]
        if not wanted:
            return [None] * len(keys)

        def in_place(found: Sequence[object]) -> list[object]:
            rest = iter(found)
            return [None if key is None else next(rest) for key in keys]

        return Loading(context.loader("catalog_item_usage").load_many(wanted), in_place)
