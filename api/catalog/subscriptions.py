"""Live updates of the catalog."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.catalog.changes import ItemQuestion
from api.catalog.inputs import CatalogItemFilter
from api.catalog.types import CatalogItem
from api.fields.context import Context
from api.fields.following import After, followed, followed_condition, live_of
from api.fields.lookups import load_view
from api.live.kinds import ChangeKind

if TYPE_CHECKING:
    from api.users.types import User


@strawberry.type(description="Something that has happened to a catalog item.")
class CatalogItemChange:
    kind: ChangeKind = strawberry.field(description="What has happened.")
    item_id: strawberry.ID | None = strawberry.field(description="Global id of the item; null where it is the start.")
    changed_fields: list[str] = strawberry.field(
        description="The names of the item's fields that have another value, where the viewer found it before and does "
        "so now; empty for other kinds than UPDATED, ENTERED and LEFT."
    )
    at: datetime | None = strawberry.field(description="When it happened; null where it is the start.")
    resume_token: str = strawberry.field(
        description="What `after` takes, to go on after this event: opaque, and for this filter only."
    )
    item_key: strawberry.Private[object]
    actor_key: strawberry.Private[object]

    @strawberry.field(
        description="The item as it is now, which may be newer than the event; null where the viewer doesn't find it."
    )
    async def item(self, info: strawberry.Info[Context]) -> CatalogItem | None:
        if self.item_key is None:
            return None
        view = await load_view("catalog_item", self.item_key, info._raw_info, found=True)
        assert view is None or isinstance(view, CatalogItem)
        return view

    @strawberry.field(description="Who did it, for admins and for whoever it was; null for others.")
    async def actor(self, info: strawberry.Info[Context]) -> Annotated[User, strawberry.lazy("api.users.types")] | None:
        if self.actor_key is None:
            return None
        return await load_view("user", self.actor_key, info._raw_info, found=True)  # type: ignore[return-value]


@strawberry.type
class CatalogSubscriptions:
    @strawberry.subscription(
        description="What happens to the catalog items that the viewer finds in lists: each change once, and those of "
        "an item in their order. The first event is STARTED, unless `after` is given."
    )
    async def catalog_items_changed(
        self,
        info: strawberry.Info[Context],
        filter: Annotated[
            CatalogItemFilter | None, strawberry.argument(description="Only these items; `deleted` can't be asked for.")
        ] = None,
        after: After = None,
    ) -> AsyncGenerator[CatalogItemChange, None]:
        return await followed(live_of(info).rows, ItemQuestion(followed_condition(filter)), after)
