"""Live updates of designs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.designs.changes import DesignQuestion
from api.designs.diff_types import DesignDiff, compare
from api.designs.inputs import DesignFilter
from api.designs.types import Design
from api.fields.context import Context
from api.fields.declared import reference
from api.fields.following import After, followed, followed_condition, live_of
from api.fields.lookups import load_view
from api.ids import decode_id_of
from api.lists.conditions import Compare
from api.live.kinds import ChangeKind
from api.users.types import User

if TYPE_CHECKING:
    from api.designs.changes import SeenChange


@strawberry.type(description="Something that has happened to a design.")
class DesignChange:
    kind: ChangeKind = strawberry.field(description="What has happened.")
    design_id: strawberry.ID | None = strawberry.field(
        description="Global id of the design; null where it is the start."
    )
    version: int | None = strawberry.field(
        description="The version that the design had then; null where the viewer doesn't find it, and at the start."
    )
    changed_fields: list[str] = strawberry.field(
        description="The names of the design's fields that have another value, where the viewer found it before and "
        "does so now; empty for other kinds than UPDATED, ENTERED and LEFT."
    )
    actor: User | None = reference(
        "user",
        key="actor_key",
        description="Who did it, for those who may edit the design and for whoever it was; null for others, and where "
        "another program did it.",
    )
    at: datetime | None = strawberry.field(description="When it happened; null where it is the start.")
    resume_token: str = strawberry.field(
        description="What `after` takes, to go on after this event: opaque, and for this question only."
    )

    @strawberry.field(
        description="The design as it is now, which may be newer than the event; null where the viewer doesn't find it."
    )
    async def design(self, info: strawberry.Info[Context]) -> Design | None:
        key = _seen(self).design_key
        if key is None:
            return None
        view = await load_view("design", key, info._raw_info, found=True)
        assert view is None or isinstance(view, Design)
        return view

    @strawberry.field(
        description="What differs, layer by layer, from how the design was before. Null where the viewer didn't find "
        "it before or doesn't now, and where that isn't known any more."
    )
    def diff(self) -> DesignDiff | None:
        seen = _seen(self)
        return None if seen.before is None or seen.after is None else compare({**seen.before}, {**seen.after})


def _seen(change: object) -> SeenChange:
    return change  # type: ignore[return-value]  # events have this in place of the type


@strawberry.type
class DesignSubscriptions:
    @strawberry.subscription(
        description="What happens to the designs that the viewer finds in lists, whichever program does it: each "
        "change once, and those of a design in their order. The first event is STARTED, unless `after` is given."
    )
    async def designs_changed(
        self,
        info: strawberry.Info[Context],
        filter: Annotated[
            DesignFilter | None, strawberry.argument(description="Only these designs; `deleted` can't be asked for.")
        ] = None,
        after: After = None,
    ) -> AsyncGenerator[DesignChange, None]:
        return await followed(live_of(info).designs, DesignQuestion(followed_condition(filter)), after)

    @strawberry.subscription(
        description="What happens to one design while the viewer finds it, as for `designsChanged`. Nothing does to "
        "one that isn't there for them."
    )
    async def design_changed(
        self,
        info: strawberry.Info[Context],
        id: Annotated[strawberry.ID, strawberry.argument(description="Global id of the design.")],
        after: After = None,
    ) -> AsyncGenerator[DesignChange, None]:
        question = DesignQuestion(Compare("id", "in", (decode_id_of("Design", id),)))
        return await followed(live_of(info).designs, question, after)
