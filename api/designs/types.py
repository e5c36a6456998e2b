"""The GraphQL type `Design`."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

import strawberry

from api.avatars.types import Avatar
from api.catalog.types import CatalogItem
from api.designs import revisions
from api.designs.diff_types import DesignDiff, compare
from api.designs.facets import DesignFacets
from api.designs.inputs import DesignStatus
from api.designs.layers import EMPTY, DesignLayer, DesignMetadata
from api.designs.revisions import NEEDS, DesignRevision
from api.designs.similar import NEEDS as SIMILAR_NEEDS
from api.designs.similar import SimilarDesigns
from api.fields.connections import PAGE_OF_LIST, Connection
from api.fields.context import Context
from api.fields.declared import always, batched, reference, references, stored
from api.fields.facets import FACETS, OF_PAGE
from api.fields.node import Node
from api.fields.selection import columns_of
from api.lists.pagination import MAX_SIZE
from api.similarity.types import Similar
from api.users.types import User
from documents.last_change import FIRST, made_at

_COMPARED = frozenset(("name", "status", "layers", "metadata", "avatar_id"))
"""The fields that are compared between two versions."""


@strawberry.type(description="A design that is similar to another one.")
class SimilarDesign(Similar):
    design: Design | None = reference(
        "design", key="design_id", description="The design; null where it was deleted in this moment."
    )


@strawberry.type(description="Layers of catalog items on an avatar.")
class Design(Node):
    sources = (dict,)

    name: str = always("Name that the owner gave it; empty where none is stored.", default="")
    status: DesignStatus = always("How far it has come; a draft where no such status is stored.", default="draft")
    version: int = stored("Counts the changes, from 1; 1 where no number is stored.", default=FIRST)
    created_at: datetime = always(
        "When it was created; where no time is stored, the one that its id tells.", default=made_at
    )
    updated_at: datetime = always(
        "When it last changed; where no time is stored, when it was created, as its id tells.", default=made_at
    )
    deleted_at: datetime | None = strawberry.field(
        description="When it was deleted; null while it is not. Only its owner and admins find it then."
    )
    published_at: datetime | None = strawberry.field(
        description="When it was last published; it stays when the design is archived or a draft again. Null for what "
        "never was published, and where the time is not known: before it was recorded, or by another service."
    )
    layers: list[DesignLayer] = stored("Its layers, in the order in which they were put.", default=())
    metadata: DesignMetadata = stored("What describes it.", default=EMPTY)
    owner: User | None = reference("user", key="user_id", description="Whose design it is.")
    avatar: Avatar | None = reference(
        "avatar", key="avatar_id", owner="user_id", description="On whom it is worn; null where nobody."
    )
    catalog_items: list[CatalogItem] = references(
        "catalog_item",
        parts="layers",
        key="item_id",
        description="The distinct items of its layers, those that are gone left out.",
    )

    similar: list[SimilarDesign] | None = batched(
        SimilarDesigns(),
        needs=SIMILAR_NEEDS,
        first=f"How many designs, at most {MAX_SIZE}; 20 where it is not given.",
        description="The most similar published designs, the best first: by tags, and by the colours, materials, "
        "categories and types of the layers and their items. Null only where a store is not available.",
    )

    @strawberry.field(
        description="Its versions, the newest first: the current one, then those that are kept. Null for those who may "
        "not edit it.",
        metadata={"needs": NEEDS},
    )
    async def revisions(
        self,
        info: strawberry.Info[Context],
        first: Annotated[
            int | None,
            strawberry.argument(
                description="How many versions from the newest, at most 100; 20 where neither first nor last is given."
            ),
        ] = None,
        after: Annotated[
            str | None, strawberry.argument(description="Only what is older than the version with this cursor.")
        ] = None,
        last: Annotated[
            int | None, strawberry.argument(description="How many versions from the oldest, at most 100.")
        ] = None,
        before: Annotated[
            str | None, strawberry.argument(description="Only what is newer than the version with this cursor.")
        ] = None,
    ) -> Connection[DesignRevision] | None:
        if not revisions.may_read(info.context, self):
            return None
        return await revisions.page(self.stored, info, first=first, after=after, last=last, before=before)

    @strawberry.field(
        description="One of its versions. Null where it is not kept, and for those who may not edit the design.",
        metadata={"needs": NEEDS},
    )
    async def revision(
        self,
        info: strawberry.Info[Context],
        version: Annotated[int, strawberry.argument(description="The number of the version.")],
    ) -> DesignRevision | None:
        if not revisions.may_read(info.context, self):
            return None
        found = await revisions.one(self.stored, version, info.context, columns_of(info._raw_info))
        return None if found is None else DesignRevision.of(found)

    @strawberry.field(
        description="What differs between two of its versions, layer by layer. Null where one of them is not kept, and "
        "for those who may not edit the design.",
        metadata={"needs": NEEDS},
    )
    async def diff(
        self,
        info: strawberry.Info[Context],
        from_: Annotated[int, strawberry.argument(name="from", description="The version that is compared.")],
        to: Annotated[int, strawberry.argument(description="The version that it is compared with.")],
    ) -> DesignDiff | None:
        if not revisions.may_read(info.context, self):
            return None
        before, after = await asyncio.gather(
            revisions.one(self.stored, from_, info.context, _COMPARED),
            revisions.one(self.stored, to, info.context, _COMPARED),
        )
        return None if before is None or after is None else compare(before, after)


@strawberry.type(name="DesignConnection", description=PAGE_OF_LIST)
class DesignConnection(Connection[Design]):
    @strawberry.field(description=FACETS, metadata=OF_PAGE)
    def facets(self) -> DesignFacets | None:
        return DesignFacets.of(self.page)
