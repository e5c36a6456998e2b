"""The domain of designs."""

from __future__ import annotations

from typing import Final

from api.designs import loaders, owner_deletion, policy
from api.designs.mutations import DesignMutations
from api.designs.payloads import VersionConflict
from api.designs.queries import DesignQueries
from api.designs.revisions import find_revision, version_key
from api.designs.subscriptions import DesignSubscriptions
from api.designs.validation import MAX_LAYERS
from api.fields.costs import FREE, LARGE_TEXT, Cost
from api.fields.domain import Domain, ObjectType, RecordType
from api.ids import object_id_key
from api.similarity.types import MOST_REASONS

_LAYERS: Final = Cost(20, size=MAX_LAYERS)
"""Layers come with their design, and their items in one statement: a fixed price, however many there are. What is asked
for below an item is charged for each."""

domain: Final = Domain(
    queries=(DesignQueries,),
    mutations=(DesignMutations,),
    subscriptions=(DesignSubscriptions,),
    objects={"Design": ObjectType(object_id_key, "design", policy.designs)},
    records={"DesignRevision": RecordType(version_key, find_revision)},
    loaders=loaders.sources,
    costs={
        "Design.layers": _LAYERS,
        "Design.catalogItems": _LAYERS,
        "Design.similar": Cost(120),
        "DesignChange.design": Cost(1),
        "DesignChange.diff": Cost(10),
        "SimilarDesign.reasons": Cost(size=MOST_REASONS),
        "Design.revision": Cost(1),
        "Design.diff": Cost(40),
        "DesignRevision.layers": _LAYERS,
        "DesignLayer.catalogItem": FREE,
        "DesignMetadata.description": LARGE_TEXT,
        "DesignDiff.fields": Cost(size=10),
        "DesignDiff.added": Cost(size=MAX_LAYERS),
        "DesignDiff.removed": Cost(size=MAX_LAYERS),
        "DesignDiff.changed": Cost(size=MAX_LAYERS),
        "DesignDiff.moved": Cost(size=MAX_LAYERS),
        "LayerChange.fields": Cost(size=10),
    },
    types=(VersionConflict,),
    belongings=owner_deletion,
)
