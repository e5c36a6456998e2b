"""The GraphQL type of a design's versions, and pages of them: first the design itself, then its revisions."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import strawberry
from bson import ObjectId

from api.avatars.types import Avatar
from api.designs.inputs import DesignStatus
from api.designs.layers import EMPTY, DesignLayer, DesignMetadata
from api.designs.revision_store import Span
from api.fields.connections import Connection
from api.fields.declared import always, reference, stored
from api.fields.node import Node
from api.fields.selection import ResolveInfo, columns_of, selects_any
from api.ids import encode_id, numbered_key
from api.lists.conditions import EVERYTHING, matches
from api.lists.pagination import Cursors, Order, Page, page_request
from api.rights.policies import LIVE
from api.stores.views import read
from api.users.types import User
from documents.last_change import FIRST, made_at, version_of
from documents.revision import revision_of

if TYPE_CHECKING:
    from api.fields.context import Context

NEEDS: Final = (
    *("id", "user_id", "version", "name", "status", "layers", "metadata", "avatar_id"),
    *("created_at", "updated_at", "updated_by", "request_id", "change"),
)
"""The stored fields of a version."""

VersionKey = tuple[ObjectId, int]
"""A design and one of its versions."""

_NEWEST_FIRST: Final = Order("version", descending=True)


def _global_id(self: Any) -> strawberry.ID:
    stored = self.stored
    return strawberry.ID(encode_id("DesignRevision", f"{stored['designId']}:{version_of(stored)}"))


def version_key(text: str) -> VersionKey | None:
    """The key of a version, read from a global id."""
    key = numbered_key(text)
    return (key[0], key[1]) if key is not None and len(key) == 2 else None


@strawberry.type(description="A design as it was in one of its versions.")
class DesignRevision(Node):
    sources = (dict,)

    id: strawberry.ID = strawberry.field(
        resolver=_global_id,
        description="Opaque id, unique among all objects.",
        metadata={"needs": ("design_id", "version")},
    )
    version: int = always("The number of the version.", default=FIRST)
    at: datetime = always(
        "When this version was made; where no time is stored, when the design was, as its id tells.", default=made_at
    )
    actor: User | None = reference("user", key="actor_id", description="Who made it; null where that is not known.")
    request_id: str | None = strawberry.field(description="Id of the request that made it.")
    name: str = always("Name that the design had; empty where none is stored.", default="")
    status: DesignStatus = always("How far it had come; a draft where no such status is stored.", default="draft")
    layers: list[DesignLayer] = stored("Its layers, in their order.", default=())
    metadata: DesignMetadata = stored("What described it.", default=EMPTY)
    avatar: Avatar | None = reference("avatar", key="avatar_id", owner="user_id", description="On whom it was worn.")


def may_read(context: Context, design: Any) -> bool:
    """Whether the viewer may read the history of a design: everybody may who may edit it."""
    return matches(context.policy("Design").editable(context.viewer), partial(read, design))


async def page(
    design: dict[str, Any],
    info: strawberry.Info[Context],
    *,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
) -> Connection[DesignRevision]:
    """A page of the versions of a stored design, the current one first."""
    context, raw = info.context, info._raw_info
    id, current = design["_id"], version_of(design)
    request = page_request(
        "design_revisions",
        first=first,
        after=after,
        last=last,
        before=before,
        scope=EVERYTHING,
        order=_NEWEST_FIRST,
        parent=("design_id", id),
    )
    span = Span(
        request.size,
        request.backwards,
        above=request.before.value if request.before else None,
        below=request.after.value if request.after else None,
    )
    rows: list[Any] = []
    if request.size and selects_any(raw, ("edges", "nodes", "pageInfo")):
        kept = await context.loader("design_revisions").load((id, current, span), columns_of(raw))
        begins = (span.below is None or current < span.below) and (span.above is None or current > span.above)
        itself = [revision_of(design)] if begins else []
        rows = [*kept, *itself] if request.backwards else [*itself, *kept]
        if context.stores.distribution.is_distributed:
            rows = [_owned(row, design) for row in rows]

    async def count(_: None) -> int:
        kept: int = await context.loader("design_revisions_count").load((id, current))
        return kept + 1

    return Connection(
        page=Page(
            cursors=Cursors(request, order_value=version_of, key=lambda row: id, parent=("design_id", id)),
            rows=rows,
            node=DesignRevision.of,
            length=count,
        )
    )


async def one(design: dict[str, Any], version: int, context: Context, columns: frozenset[str]) -> Any:
    """One stored version of a design; None where it isn't kept."""
    current = version_of(design)
    if version == current:
        found: dict[str, Any] | None = revision_of(design)
    elif not 1 <= version < current:
        return None
    else:
        found = await context.loader("design_revision").load((design["_id"], version), columns)
    return _owned(found, design) if found is not None and context.stores.distribution.is_distributed else found


def _owned(revision: dict[str, Any], design: dict[str, Any]) -> dict[str, Any]:
    """The revision with the owner of its design, who should own its avatar, too. Others may have the same revision."""
    return revision | {"userId": design.get("userId")}


async def find_revision(key: VersionKey, info: ResolveInfo) -> DesignRevision | None:
    """A version of a live design, if the viewer may read its history."""
    context: Context = info.context
    id, version = key
    design = await context.loader("design").load(id, frozenset((*NEEDS, "deleted_at")))
    if design is None or not matches(LIVE, partial(read, design)) or not may_read(context, design):
        return None
    found = await one(design, version, context, columns_of(info, DesignRevision.__name__))
    return None if found is None else DesignRevision.of(found)
