"""The GraphQL types of facets of designs."""

from __future__ import annotations

from typing import ClassVar

import strawberry

from api.designs.inputs import DesignStatus
from api.fields.facets import OfPage, TextCount, facet
from api.lists.facets import ValueCount


@strawberry.type(description="A status of designs, and how many designs of the list have it.")
class DesignStatusCount:
    sources: ClassVar[tuple[type, ...]] = (ValueCount,)

    value: DesignStatus = strawberry.field(description="How far they have come.")
    count: int = strawberry.field(description="How many designs.")


@strawberry.type(
    description="Facets of designs: values with counts, the most frequent first, equally frequent ones in the order of "
    "their values. All that are asked for are one command."
)
class DesignFacets(OfPage):
    status: list[DesignStatusCount] = facet(
        "status", "How many designs have which status; those where no such status is stored are not counted."
    )
    tags: list[TextCount] = facet(
        "metadata.tags", "How many designs have which tag; those without tags are not counted."
    )
