"""Root fields of designs."""

from __future__ import annotations

import strawberry

from api.designs.inputs import DesignFilter, DesignOrder
from api.designs.types import Design, DesignConnection
from api.fields.declared import connection, lookup


@strawberry.type
class DesignQueries:
    design: Design | None = lookup(
        "design", description="One design by its id; null where there is none for this viewer."
    )
    designs: DesignConnection | None = connection(
        "designs",
        filter=DesignFilter,
        order=DesignOrder,
        description="The published designs and those of the viewer; for admins, everyone's.",
    )
