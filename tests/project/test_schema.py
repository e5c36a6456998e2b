"""The schema: its file, its descriptions, and the names that clients rely on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    ObjectTypeDefinitionNode,
    parse,
    print_schema,
)

from api.fields.declared import BATCH_RESOLVER
from api.fields.resolvers.values import Guarded
from api.fields.schema_types import DEFINITION
from api.schema import print_sdl, schema

TYPES = schema._schema.type_map
FILE = Path(__file__).parents[2] / "schema.graphql"


def test_the_schema_file_is_current() -> None:
    assert FILE.read_text() == print_sdl(), "run: fashion-wallet schema > schema.graphql"


def members(kind: Any) -> Iterator[tuple[str, Any]]:
    """A type's fields with their arguments, or its values, by their path."""
    if isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType)):
        for name, field in kind.fields.items():
            yield name, field
            for argument, definition in field.args.items():
                yield f"{name}({argument})", definition
    elif isinstance(kind, GraphQLInputObjectType):
        yield from kind.fields.items()
    elif isinstance(kind, GraphQLEnumType):
        yield from kind.values.items()


def test_everything_is_described() -> None:
    described, bare = 0, []
    for name, kind in TYPES.items():
        if name.startswith("__"):
            continue
        for path, definition in [("", kind), *members(kind)]:
            described += 1
            if not (definition.description or "").strip():
                bare.append(f"{name}.{path}")

    assert bare == []
    assert described > 300


def fields(kind: str) -> dict[str, str]:
    """The fields of a type, each with its type."""
    found: Any = TYPES[kind]
    return {name: str(field.type) for name, field in found.fields.items()}


def arguments(kind: str, field: str) -> dict[str, str]:
    found: Any = TYPES[kind]
    return {name: str(argument.type) for name, argument in found.fields[field].args.items()}


def values(kind: str) -> set[str]:
    found: Any = TYPES[kind]
    return set(found.values)


NODE = {"id": "ID!"}
CONTRACT: dict[str, dict[str, str]] = {
    "Query": {
        "node": "Node",
        "nodes": "[Node]",
        "user": "User",
        "users": "UserConnection",
        "avatar": "Avatar",
        "avatars": "AvatarConnection",
        "catalogItem": "CatalogItem",
        "catalogItems": "CatalogItemConnection",
        "design": "Design",
        "designs": "DesignConnection",
        "health": "Health!",
    },
    "User": NODE
    | {
        "email": "String",
        "firstName": "String",
        "lastName": "String",
        "role": "UserRole",
        "isActive": "Boolean",
        "emailVerified": "Boolean",
        "createdAt": "DateTime!",
        "updatedAt": "DateTime",
        "createdBy": "User",
        "updatedBy": "User",
        "defaultAvatar": "Avatar",
        "avatars": "AvatarConnection!",
        "designs": "DesignConnection!",
    },
    "Avatar": NODE
    | {
        "name": "String!",
        "gender": "Gender!",
        "measurements": "Measurements",
        "modelUrl": "String",
        "thumbnailUrl": "String",
        "isDefault": "Boolean!",
        "createdAt": "DateTime!",
        "updatedAt": "DateTime!",
        "owner": "User",
        "designs": "DesignConnection!",
    },
    "Measurements": dict.fromkeys(("height", "weight", "chest", "waist", "hips", "shoulderWidth"), "Float"),
    "CatalogItem": NODE
    | {
        "name": "String!",
        "description": "String",
        "type": "CatalogItemType!",
        "category": "CatalogItemCategory",
        "properties": "CatalogItemProperties!",
        "assetUrl": "String",
        "thumbnailUrl": "String",
        "isPremium": "Boolean!",
        "isActive": "Boolean!",
        "brand": "User",
        "deletedAt": "DateTime",
        "price": "Int!",
        "createdAt": "DateTime!",
        "updatedAt": "DateTime!",
        "designs": "DesignConnection!",
    },
    "CatalogItemProperties": {
        "color": "String",
        "texture": "String",
        "material": "String",
        "patternType": "String",
        "tags": "[String!]!",
    },
    "Design": NODE
    | {
        "name": "String!",
        "status": "DesignStatus!",
        "version": "Int!",
        "createdAt": "DateTime!",
        "updatedAt": "DateTime!",
        "publishedAt": "DateTime",
        "layers": "[DesignLayer!]!",
        "metadata": "DesignMetadata!",
        "owner": "User",
        "avatar": "Avatar",
        "catalogItems": "[CatalogItem!]!",
    },
    "DesignLayer": {
        "layerId": "ID!",
        "type": "CatalogItemType!",
        "catalogItem": "CatalogItem",
        "position": "Position!",
        "rotation": "Float",
        "scale": "Scale",
        "color": "String",
        "visible": "Boolean!",
    },
    "Position": dict.fromkeys("xyz", "Float!"),
    "Scale": dict.fromkeys("xy", "Float!"),
    "DesignMetadata": {
        "tags": "[String!]!",
        "description": "String",
        "thumbnailUrl": "String",
        "canvasSize": "CanvasSize",
    },
    "CanvasSize": dict.fromkeys(("width", "height"), "Int!"),
    "PageInfo": {
        "hasNextPage": "Boolean!",
        "hasPreviousPage": "Boolean!",
        "startCursor": "String",
        "endCursor": "String",
    },
    "DesignConnection": {
        "edges": "[DesignEdge!]",
        "nodes": "[Design!]",
        "pageInfo": "PageInfo!",
        "totalCount": "Int",
    },
    "DesignEdge": {"node": "Design!", "cursor": "String!"},
    "Health": {"status": "HealthStatus!", "timestamp": "DateTime!", "checks": "HealthChecks!"},
}


def test_the_contract_is_kept() -> None:
    kept = {kind: {name: fields(kind).get(name) for name in contract} for kind, contract in CONTRACT.items()}

    assert kept == CONTRACT


def test_descriptions_are_sentences() -> None:
    short = [
        f"{name}.{path}"
        for name, kind in TYPES.items()
        if not name.startswith("__")
        for path, definition in [("", kind), *members(kind)]
        if len((definition.description or "").split()) < 3
    ]

    assert short == []


def test_what_not_everyone_sees_says_so() -> None:
    guarded = {}
    for name, kind in TYPES.items():
        for path, field in members(kind):
            declared = getattr(field.extensions.get(DEFINITION), "metadata", {}).get(BATCH_RESOLVER)
            if isinstance(declared, Guarded) or getattr(declared, "guard", None) is not None:
                guarded[f"{name}.{path}"] = field.description

    assert {"User.email", "User.createdBy", "Avatar.measurements", "CatalogItem.assetUrl"} <= set(guarded)
    assert [path for path, text in guarded.items() if " only" not in text and "Null for" not in text] == []


def test_nothing_defaults_to_null() -> None:
    text = print_sdl()

    assert "= null" not in text
    assert "scalar DateTime @specifiedBy(url: " in text


def test_what_may_be_refused_is_nullable() -> None:
    """Else one refusal would take along what the other fields of the operation have done or found."""
    required = {(kind, name) for kind in ("Query", "Mutation") for name, of in fields(kind).items() if of.endswith("!")}

    assert required == {("Query", "health")}


def test_every_list_takes_the_same_arguments() -> None:
    lists = {
        ("Query", "users"): "User",
        ("Query", "avatars"): "Avatar",
        ("Query", "catalogItems"): "CatalogItem",
        ("Query", "designs"): "Design",
        ("User", "avatars"): "Avatar",
        ("User", "designs"): "Design",
        ("Avatar", "designs"): "Design",
        ("CatalogItem", "designs"): "Design",
    }

    for (kind, field), listed in lists.items():
        assert arguments(kind, field) == {
            "first": "Int",
            "after": "String",
            "last": "Int",
            "before": "String",
            "filter": f"{listed}Filter",
            "orderBy": f"{listed}Order",
        }


def test_what_has_an_id_is_a_node() -> None:
    """Caches of clients take `id` for unique among all objects: nothing else is called so."""
    node: Any = TYPES["Node"]
    nodes = {kind.name for kind in schema._schema.get_possible_types(node)}
    with_id = {name for name, kind in TYPES.items() if isinstance(kind, GraphQLObjectType) and "id" in kind.fields}

    assert nodes == with_id == {"User", "Avatar", "CatalogItem", "Design", "DesignRevision", "AuditEntry"}


def test_enums() -> None:
    assert values("UserRole") == {"USER", "PREMIUM", "BRAND", "ADMIN"}
    assert values("Gender") == {"MALE", "FEMALE", "UNISEX"}
    assert values("CatalogItemType") == {"SILHOUETTE", "FABRIC", "PATTERN"}
    assert values("CatalogItemCategory") == {"TOP", "BOTTOM", "DRESS", "OUTERWEAR", "ACCESSORY", "OTHER"}
    assert values("DesignStatus") == {"DRAFT", "PUBLISHED", "ARCHIVED"}
    assert values("OrderDirection") == {"ASC", "DESC"}


def test_what_only_an_error_makes_null_says_so() -> None:
    """Every such field of every connection, the root's lists and all mutations, and no field that is null by itself."""
    document = parse(print_sdl())
    marked = {
        f"{kind.name.value}.{field.name.value}"
        for kind in document.definitions
        if isinstance(kind, ObjectTypeDefinitionNode)
        for field in kind.fields or ()
        if any(directive.name.value == "semanticNonNull" for directive in field.directives or ())
    }
    connections = {name for name in TYPES if name.endswith("Connection")}

    assert marked == {
        *(f"{name}.{field}" for name in connections for field in ("edges", "nodes", "totalCount")),
        *(f"{name}Connection.facets" for name in ("CatalogItem", "Design", "Search")),
        *(
            f"Query.{field}"
            for field in ("nodes", "users", "avatars", "catalogItems", "designs", "auditLog", "search", "suggest")
        ),
        *(f"Mutation.{field}" for field in fields("Mutation")),
    }
    assert not any(fields(path.split(".")[0])[path.split(".")[1]].endswith("!") for path in marked)
    assert print_sdl().replace(" @semanticNonNull\n", "\n") == print_schema(schema._schema) + "\n"
