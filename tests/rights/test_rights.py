"""Who may read what: every field and every query of the schema, as each kind of viewer.

A field that is new belongs into the table, or its test fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx
import pytest

from tests.support.graphql import respond
from tests.support.requests.selections import (
    Seen,
    everything,
    fields_of,
    object_type,
    reachable,
    record,
    selection,
    table,
    type_of,
)
from tests.support.world import OPEN, SUBJECTS, VIEWERS, WALLED, World

pytestmark = pytest.mark.anyio

EVERYONE: Final = frozenset(VIEWERS)
SIGNED_IN: Final = EVERYONE - {"anonymous"}
OWNER: Final = frozenset({"owner", "admin"})
ADMIN: Final = frozenset({"admin"})
PREMIUM: Final = frozenset({"premium", "brand", "maker", "admin"})
MAKER: Final = frozenset({"maker", "admin"})
NOBODY: Final = frozenset[str]()

# of an account with a published design, an avatar that it is worn on, a premium item, and that design
FIELDS: Final = table(
    {
        EVERYONE: """
            User: id firstName lastName createdAt avatars designs
            Avatar: id name gender modelUrl thumbnailUrl isDefault createdAt updatedAt owner designs
            AvatarConnection: nodes edges pageInfo totalCount
            CatalogItem: id name description type category properties thumbnailUrl isPremium isActive price
            CatalogItem: createdAt updatedAt brand designs similar
            SimilarCatalogItem: item score reasons
            SimilarDesign: design score reasons
            SimilarityReason: kind weight closeness score values
            CatalogItemProperties: color texture material patternType tags sizes
            CatalogItemSize: name chest waist hips
            CatalogItemConnection: nodes edges pageInfo totalCount facets
            CatalogItemFacets: type category color material texture patternType tags isPremium price
            CatalogItemTypeCount: value count
            CatalogItemCategoryCount: value count
            BooleanCount: value count
            NumberFacet: min max histogram
            NumberBucket: from to count
            CatalogItemEdge: node cursor
            Design: id name status version createdAt updatedAt publishedAt layers metadata owner avatar catalogItems
            Design: similar
            DesignConnection: nodes edges pageInfo totalCount facets
            DesignFacets: status tags
            DesignStatusCount: value count
            TextCount: value count
            Suggestion: text count
            DesignEdge: node cursor
            DesignLayer: layerId type catalogItem position rotation scale color visible
            DesignMetadata: tags description thumbnailUrl canvasSize
            Position: x y z
            Scale: x y
            CanvasSize: width height
            PageInfo: hasNextPage hasPreviousPage startCursor endCursor
            Health: status timestamp checks
            HealthChecks: postgres mongodb
            PostgresHealth: healthy responseTime connections
            ConnectionCounts: total active idle
            MongodbHealth: healthy responseTime state
            SearchConnection: nodes edges pageInfo totalCount correctedQuery facets
            SearchFacets: catalogItems designs
            SearchEdge: node cursor score highlights
            SearchHighlight: field text ranges
            SearchRange: start end
        """,
        OWNER: """
            User: email role isActive emailVerified updatedAt createdBy updatedBy defaultAvatar
            Avatar: measurements fittingItems
            FittingItem: item size ease
            Ease: chest waist hips
            Measurements: height weight chest waist hips shoulderWidth
            AvatarEdge: node cursor
            Design: revisions revision diff
            DesignRevisionConnection: nodes edges pageInfo totalCount
            DesignRevisionEdge: node cursor
            DesignRevision: id version at actor requestId name status layers metadata avatar
            DesignDiff: fromVersion toVersion fields added removed changed moved
            FieldChange: field before after
            LayerChange: layerId fields before after
            LayerMove: layerId before after
        """,
        PREMIUM: """
            CatalogItem: assetUrl
        """,
        MAKER: """
            CatalogItem: usage
            CatalogItemUsage: designs users
        """,
        ADMIN: """
            UserConnection: nodes edges pageInfo totalCount
            UserEdge: node cursor
            AuditLogConnection: nodes edges pageInfo totalCount
            AuditEntryEdge: node cursor
            AuditEntry: id at kind operation recordId oldValues newValues actorId requestId version record actor
            DeletionPreview: user avatars designs revisions sessions
            DesignCounts: total draft published archived
        """,
        NOBODY: """
            PostgresHealth: error
            MongodbHealth: error
            User: deletedAt
            Avatar: deletedAt
            CatalogItem: deletedAt
            Design: deletedAt
        """,  # nothing is wrong with the stores, or deleted
    }
)

VALUE: Final = "value"
NULL: Final = "null"
Outcomes = Mapping[str, str]

FOR_EVERYONE: Final[dict[str, str]] = dict.fromkeys(VIEWERS, VALUE)
FOR_SIGNED_IN: Final[Outcomes] = FOR_EVERYONE | {"anonymous": "UNAUTHENTICATED"}
FOR_ADMINS: Final[Outcomes] = dict.fromkeys(VIEWERS, "FORBIDDEN") | {"anonymous": "UNAUTHENTICATED", "admin": VALUE}

QUERIES: Final[Mapping[str, Outcomes]] = {
    "node": FOR_EVERYONE,
    "nodes": FOR_EVERYONE,
    "user": FOR_EVERYONE,
    "avatar": FOR_EVERYONE,
    "catalogItem": FOR_EVERYONE,
    "design": FOR_EVERYONE,
    "users": FOR_ADMINS,
    "viewer": FOR_EVERYONE | {"anonymous": NULL},
    "avatars": FOR_SIGNED_IN,
    "catalogItems": FOR_EVERYONE,
    "designs": FOR_EVERYONE,
    "auditLog": FOR_ADMINS,
    "health": FOR_EVERYONE,
    "search": FOR_EVERYONE,
    "suggest": FOR_EVERYONE,
    "deletionPreview": FOR_ADMINS,
}


def arguments(field: str, world: World) -> str:
    """Of a query that can't do without."""
    match field:
        case "node":
            return f'(id: "{SUBJECTS["Design"](world)}")'
        case "nodes":
            return f'(ids: ["{SUBJECTS["Design"](world)}"])'
        case "deletionPreview":
            return f'(id: "{SUBJECTS["User"](world)}")'
        case "search":
            return '(query: "premum")'
        case "suggest":
            return '(prefix: "p")'
        case "auditLog":
            return "(first: 100)"
        case "user" | "avatar" | "catalogItem" | "design":
            return f'(id: "{SUBJECTS[field[0].upper() + field[1:]](world)}")'
        case _:
            return ""


async def seen_of_subjects(client: httpx.AsyncClient, world: World) -> Seen:
    """What came of every field of the subjects."""
    seen: Seen | None = None
    for name, id_of in SUBJECTS.items():
        of = object_type(name)
        ask = f"query ($id: ID!) {{ node(id: $id) {{ ... on {name} {everything(of)} }} }}"
        body = await respond(client, ask, id=id_of(world))
        assert "errors" not in body, body["errors"]
        seen = record(of, body["data"]["node"], seen)
    assert seen is not None
    return seen


async def outcome(client: httpx.AsyncClient, field: str, world: World) -> tuple[str, Any]:
    """What a query answers: its value, null, or the code of its error."""
    of = type_of(object_type("Query").fields[field])
    body = await respond(client, f"{{ it: {field}{arguments(field, world)} {selection(of)} }}")
    if "errors" in body:
        assert body["data"] == {"it": None}
        return " ".join(error["extensions"]["code"] for error in body["errors"]), None
    found = body["data"]["it"]
    return (NULL if found is None or found == [None] else VALUE), found


def test_the_table_names_what_can_be_queried() -> None:
    assert set(FIELDS) == fields_of(reachable(["Query"]) - {"Query"})
    assert set(QUERIES) == set(object_type("Query").fields)


@pytest.mark.parametrize("world", [OPEN, WALLED], indirect=True)
@pytest.mark.parametrize("viewer", VIEWERS)
async def test_every_field_as_everyone(world: World, viewer: str) -> None:
    client = world.viewer(viewer)
    seen = await seen_of_subjects(client, world)
    outcomes = {}
    for field in QUERIES:
        outcomes[field], data = await outcome(client, field, world)
        of = type_of(object_type("Query").fields[field])
        if data is not None and field not in ("node", "nodes") and selection(of) != "{ id }":
            record(of, data, seen)

    assert outcomes == {field: expected[viewer] for field, expected in QUERIES.items()}
    with_values = {field for field, values in seen.items() if any(value is not None for value in values)}
    assert with_values == {field for field, viewers in FIELDS.items() if viewer in viewers}
