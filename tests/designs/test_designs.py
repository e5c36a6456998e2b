"""Designs as clients read them, those of older services included."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import structlog
from bson import Binary, Int64, ObjectId

from api.designs import store
from api.ids import encode_id
from api.stores.stores import Stores
from models import new_id
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, designs, insert_design, layer_of, object_id
from tests.support.factories.users import create_user
from tests.support.graphql import execute, gid

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(admin: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client that may see everything."""
    return admin


NOON = datetime(2026, 1, 1, 12, 0, 0, 123000, tzinfo=UTC)
FIELDS = """
    __typename id name status version createdAt updatedAt
    layers { layerId type catalogItem { name } position { x y z } rotation scale { x y } color visible }
    metadata { tags description thumbnailUrl canvasSize { width height } }
    owner { email } avatar { name } catalogItems { name }
"""
QUERY = f"query ($id: ID!) {{ design(id: $id) {{ {FIELDS} }} }}"


async def read(client: httpx.AsyncClient, id: ObjectId) -> dict[str, Any]:
    found: dict[str, Any] = (await execute(client, QUERY, id=encode_id("Design", id)))["design"]
    return found


async def test_every_field(client: httpx.AsyncClient, stores: Stores) -> None:
    owner = await create_user(stores, email="ada@example.com")
    avatar = await create_avatar(stores, name="Standing", user_id=owner.id)
    coat = await create_catalog_item(stores, name="Coat", type="silhouette")
    wool = await create_catalog_item(stores, name="Wool")
    design = await create_design(
        stores,
        name="Evening",
        status="published",
        version=7,
        user_id=owner.id,
        avatar_id=avatar.id,
        created_at=NOON,
        updated_at=NOON,
        layers=[
            layer_of(
                coat.id,
                id="coat",
                type="silhouette",
                position={"x": 1, "y": -2.5, "z": 3},
                rotation=45,
                scale={"x": 2, "y": 0.5},
                color="#ff0000",
                visible=False,
            ),
            layer_of(wool.id, id="wool"),
            layer_of(coat.id, id="again", type="pattern"),
            layer_of(None, id="empty"),
        ],
        metadata={
            "tags": ["night", "wool"],
            "description": "For the opera",
            "thumbnailUrl": "https://cdn.example.com/design.png",
            "canvasSize": {"width": 800, "height": 600},
        },
    )

    plain = {
        "position": {"x": 0.0, "y": 0.0, "z": 0.0},
        "rotation": None,
        "scale": None,
        "color": None,
        "visible": True,
    }
    assert await read(client, object_id(design)) == {
        "__typename": "Design",
        "id": gid(design),
        "name": "Evening",
        "status": "PUBLISHED",
        "version": 7,
        "createdAt": "2026-01-01T12:00:00.123000+00:00",
        "updatedAt": "2026-01-01T12:00:00.123000+00:00",
        "layers": [
            {
                "layerId": "coat",
                "type": "SILHOUETTE",
                "catalogItem": {"name": "Coat"},
                "position": {"x": 1.0, "y": -2.5, "z": 3.0},
                "rotation": 45.0,
                "scale": {"x": 2.0, "y": 0.5},
                "color": "#ff0000",
                "visible": False,
            },
            {"layerId": "wool", "type": "FABRIC", "catalogItem": {"name": "Wool"}} | plain,
            {"layerId": "again", "type": "PATTERN", "catalogItem": {"name": "Coat"}} | plain,
            {"layerId": "empty", "type": "FABRIC", "catalogItem": None} | plain,
        ],
        "metadata": {
            "tags": ["night", "wool"],
            "description": "For the opera",
            "thumbnailUrl": "https://cdn.example.com/design.png",
            "canvasSize": {"width": 800, "height": 600},
        },
        "owner": {"email": "ada@example.com"},
        "avatar": {"name": "Standing"},
        "catalogItems": [{"name": "Coat"}, {"name": "Wool"}],
    }


EMPTY_METADATA: dict[str, Any] = {"tags": [], "description": None, "thumbnailUrl": None, "canvasSize": None}


@pytest.mark.parametrize(
    "absent",
    [
        {},
        {"layers": None, "metadata": None, "avatarId": None, "catalogItemIds": None, "version": None},
        {"layers": [], "metadata": {}, "catalogItemIds": [], "version": 1},
        {"metadata": {"tags": None, "description": None, "thumbnailUrl": None, "canvasSize": None}},
        {"__v": 3, "unknown": {"a": [1]}, "version": Int64(1), "deletedAt": None},
    ],
)
async def test_what_an_old_design_may_lack(client: httpx.AsyncClient, stores: Stores, absent: dict[str, Any]) -> None:
    id = await insert_design(stores, **absent)

    found = await read(client, id)

    assert found == {
        "__typename": "Design",
        "id": encode_id("Design", id),
        "name": "Old",
        "status": "DRAFT",
        "version": 1,
        "createdAt": "2020-01-01T00:00:00+00:00",
        "updatedAt": "2020-01-01T00:00:00+00:00",
        "layers": [],
        "metadata": EMPTY_METADATA,
        "owner": None,
        "avatar": None,
        "catalogItems": [],
    }


async def test_what_an_old_layer_may_lack(client: httpx.AsyncClient, stores: Stores) -> None:
    silk = await create_catalog_item(stores, name="Silk")
    id = await insert_design(
        stores,
        layers=[
            {"id": "bare", "type": "fabric"},
            {"id": "nulls", "type": "fabric", "itemId": None, "position": None, "scale": None, "visible": None},
            {"_id": ObjectId(), "id": "parts", "type": "fabric", "position": {"x": 5}, "scale": {"y": 2}},
            {"id": "numbers", "type": "fabric", "position": {"x": Int64(7), "y": 0.1}, "rotation": Int64(90)},
            {"id": "item", "type": "fabric", "itemId": str(silk.id)},
        ],
        metadata={"canvasSize": {"width": 800.0, "height": Int64(600)}},
    )

    found = await read(client, id)

    origin = {"x": 0.0, "y": 0.0, "z": 0.0}
    layer = {
        "type": "FABRIC",
        "catalogItem": None,
        "position": origin,
        "rotation": None,
        "scale": None,
        "color": None,
        "visible": True,
    }
    assert found["layers"] == [
        layer | {"layerId": "bare"},
        layer | {"layerId": "nulls"},
        layer | {"layerId": "parts", "position": origin | {"x": 5.0}, "scale": {"x": 1.0, "y": 2.0}},
        layer | {"layerId": "numbers", "position": origin | {"x": 7.0, "y": 0.1}, "rotation": 90.0},
        layer | {"layerId": "item", "catalogItem": {"name": "Silk"}},
    ]
    assert found["metadata"] == EMPTY_METADATA | {"canvasSize": {"width": 800, "height": 600}}
    assert found["catalogItems"] == [{"name": "Silk"}]


@pytest.mark.parametrize(
    "selection",
    [
        "layers { layerId }",
        "layers { position { y } }",
        "layers { scale { x } catalogItem { name } }",
        "metadata { tags }",
        "metadata { canvasSize { width } }",
        "metadata { description } layers { visible }",
        "... { metadata { tags } } ...F",
        "owner { email } avatar { name }",
        "catalogItems { name }",
        "version",
        "__typename",
    ],
)
async def test_a_part_alone_reads_as_it_does_in_the_whole(
    client: httpx.AsyncClient, stores: Stores, selection: str
) -> None:
    owner = await create_user(stores)
    avatar = await create_avatar(stores, user_id=owner.id)
    silk = await create_catalog_item(stores)
    layers = [
        layer_of(silk.id, position={"x": 1, "y": 2, "z": 3}, scale={"x": 2, "y": 3}, visible=False),
        layer_of(None, id="2"),
    ]
    metadata = {"tags": ["a"], "description": "b", "canvasSize": {"width": 8, "height": 6}}
    design = await create_design(
        stores, user_id=owner.id, avatar_id=avatar.id, layers=layers, metadata=metadata, version=3
    )
    fragment = "fragment F on Design { metadata { description } }" if "...F" in selection else ""

    whole = await read(client, object_id(design))
    data = await execute(client, f"{{ designs {{ nodes {{ {selection} }} }} }} {fragment}")

    (part,) = data["designs"]["nodes"]
    assert part
    assert part == _like(part, whole)


def _like(part: Any, whole: Any) -> Any:
    """The whole, cut down to the fields of the part."""
    if isinstance(part, dict):
        return {name: _like(value, whole[name]) for name, value in part.items()}
    if isinstance(part, list):
        assert len(part) == len(whole)
        return [_like(a, b) for a, b in zip(part, whole, strict=True)]
    return whole


@pytest.mark.parametrize("status", ["draft", "published", "archived"])
async def test_every_status(client: httpx.AsyncClient, stores: Stores, status: str) -> None:
    design = await create_design(stores, status=status)

    assert await execute(client, "{ designs { nodes { id status } } }") == {
        "designs": {"nodes": [{"id": gid(design), "status": status.upper()}]}
    }


async def test_a_deleted_design_is_absent_until_it_is_restored(client: httpx.AsyncClient, stores: Stores) -> None:
    owner = await create_user(stores)
    design = await create_design(stores, user_id=owner.id)
    await designs(stores).soft_delete(object_id(design))
    query = """query ($id: ID!, $owner: ID!) {
      design(id: $id) { id } node(id: $id) { id } nodes(ids: [$id]) { id }
      designs { nodes { id } totalCount }
      user(id: $owner) { designs { nodes { id } totalCount } }
    }"""

    deleted = await execute(client, query, id=gid(design), owner=gid(owner))
    await designs(stores).restore(object_id(design))
    restored = await execute(client, query, id=gid(design), owner=gid(owner))

    nothing = {"nodes": [], "totalCount": 0}
    assert deleted == {
        "design": None,
        "node": None,
        "nodes": [None],
        "designs": nothing,
        "user": {"designs": nothing},
    }
    it = {"id": gid(design)}
    assert restored == {
        "design": it,
        "node": it,
        "nodes": [it],
        "designs": {"nodes": [it], "totalCount": 1},
        "user": {"designs": {"nodes": [it], "totalCount": 1}},
    }


async def test_deleted_at_null_is_live(client: httpx.AsyncClient, stores: Stores) -> None:
    owner = await create_user(stores)
    with_null = await insert_design(stores, name="null", userId=str(owner.id), deletedAt=None)
    await insert_design(stores, name="missing", userId=str(owner.id))
    await insert_design(stores, name="deleted", userId=str(owner.id), deletedAt=NOON)

    data = await execute(
        client,
        """query ($id: ID!, $owner: ID!) {
          design(id: $id) { name }
          designs(orderBy: {field: NAME}) { nodes { name } totalCount }
          user(id: $owner) { designs(orderBy: {field: NAME}) { nodes { name } totalCount } }
        }""",
        id=encode_id("Design", with_null),
        owner=gid(owner),
    )

    live = {"nodes": [{"name": "missing"}, {"name": "null"}], "totalCount": 2}
    assert data == {"design": {"name": "null"}, "designs": live, "user": {"designs": live}}


async def test_references_that_lead_nowhere_are_null_and_logged_once(client: httpx.AsyncClient, stores: Stores) -> None:
    user, avatar, item, other = (str(new_id()) for _ in range(4))
    silk = await create_catalog_item(stores, name="Silk")
    layers = [layer_of(item, id="1"), layer_of(other, id="2"), layer_of(item, id="3"), layer_of(silk.id, id="4")]
    for _ in range(2):
        await create_design(stores, user_id=user, avatar_id=avatar, layers=layers)
    query = "{ designs { nodes { owner { id } avatar { id } layers { catalogItem { name } } catalogItems { name } } } }"

    with structlog.testing.capture_logs() as logs:
        data = await execute(client, query)
        again = await execute(client, query)

    assert data == again
    assert (
        data["designs"]["nodes"]
        == [
            {
                "owner": None,
                "avatar": None,
                "layers": [*[{"catalogItem": None}] * 3, {"catalogItem": {"name": "Silk"}}],
                "catalogItems": [{"name": "Silk"}],
            }
        ]
        * 2
    )
    reports = [entry for entry in logs if entry["event"] == "dangling reference"]
    assert sorted((entry["type"], entry["key"]) for entry in reports) == sorted(
        [("user", user), ("avatar", avatar), ("catalog_item", item), ("catalog_item", other)]
    )
    assert {entry["log_level"] for entry in reports} == {"warning"}
    assert len(logs) == len(reports) + 2  # and a line a request


@pytest.mark.parametrize(
    "malformed", ["", "nonsense", "a\x00b", "x" * 36, 5, 1.5, True, Binary(b"x" * 16, 4), ObjectId(), {"a": 1}, ["b"]]
)
async def test_malformed_references_are_null(client: httpx.AsyncClient, stores: Stores, malformed: Any) -> None:
    silk = await create_catalog_item(stores, name="Silk")
    id = await insert_design(
        stores,
        userId=malformed,
        avatarId=malformed,
        catalogItemIds=[malformed, str(silk.id)],
        layers=[{"id": "1", "type": "fabric", "itemId": malformed}, layer_of(silk.id, id="2")],
    )

    found = await read(client, id)

    assert (found["owner"], found["avatar"]) == (None, None)
    assert [layer["catalogItem"] for layer in found["layers"]] == [None, {"name": "Silk"}]
    assert found["catalogItems"] == [{"name": "Silk"}]


async def test_one_malformed_reference_spoils_no_other(client: httpx.AsyncClient, stores: Stores) -> None:
    owner = await create_user(stores, email="ada@example.com")
    await insert_design(stores, name="a", userId="nonsense")
    await create_design(stores, name="b", user_id=owner.id)
    await insert_design(stores, name="c", userId=str(owner.id).upper())

    data = await execute(client, "{ designs(orderBy: {field: NAME}) { nodes { name owner { email } } } }")

    ada = {"email": "ada@example.com"}
    assert data["designs"]["nodes"] == [
        {"name": "a", "owner": None},
        {"name": "b", "owner": ada},
        {"name": "c", "owner": ada},
    ]


async def test_nodes_of_every_type(client: httpx.AsyncClient, stores: Stores) -> None:
    user, item = await create_user(stores), await create_catalog_item(stores, name="Silk")
    avatar, design = await create_avatar(stores, user_id=user.id), await create_design(stores, name="Evening")
    ids = [gid(design), gid(item), encode_id("User", new_id()), gid(avatar), gid(user), gid(design)]

    data = await execute(
        client,
        """query ($ids: [ID!]!, $id: ID!) {
          nodes(ids: $ids) {
            __typename id ...F
            ... on User { email } ... on Avatar { name owner { id } } ... on CatalogItem { name price }
          }
          node(id: $id) { ...F ... on User { email } }
        }
        fragment F on Node { ... on Design { name layers { layerId } owner { id } } }""",
        ids=ids,
        id=gid(design),
    )

    evening: dict[str, Any] = {"name": "Evening", "layers": [], "owner": None}
    assert data["nodes"] == [
        {"__typename": "Design", "id": gid(design)} | evening,
        {"__typename": "CatalogItem", "id": gid(item), "name": "Silk", "price": 0},
        None,
        {"__typename": "Avatar", "id": gid(avatar), "name": "Standing", "owner": {"id": gid(user)}},
        {"__typename": "User", "id": gid(user), "email": user.email},
        {"__typename": "Design", "id": gid(design)} | evening,
    ]
    assert data["node"] == evening


async def test_skip_and_include(client: httpx.AsyncClient, stores: Stores) -> None:
    owner = await create_user(stores)
    await create_design(stores, name="Evening", user_id=owner.id)
    query = """query ($yes: Boolean!) { designs {
      nodes @include(if: $yes) { name owner @skip(if: $yes) { id } ... @include(if: $yes) { version } }
      totalCount @skip(if: $yes)
    } }"""

    assert await execute(client, query, yes=True) == {"designs": {"nodes": [{"name": "Evening", "version": 1}]}}
    assert await execute(client, query, yes=False) == {"designs": {"totalCount": 1}}
    assert await execute(client, query.replace("nodes @include(if: $yes)", "nodes"), yes=False) == {
        "designs": {"nodes": [{"name": "Evening", "owner": {"id": gid(owner)}}], "totalCount": 1}
    }


async def test_aliases_with_other_arguments_and_fields(client: httpx.AsyncClient, stores: Stores) -> None:
    await create_design(stores, name="a", status="published", metadata={"tags": ["x"]})
    await create_design(stores, name="b", version=2)

    data = await execute(
        client,
        """{
          all: designs(orderBy: {field: NAME}) { nodes { n: name } }
          same: designs(orderBy: {field: NAME}) { nodes { metadata { t: tags } v: version } }
          published: designs(filter: {status: PUBLISHED}) { nodes { name } totalCount }
          one: designs(orderBy: {field: NAME}, first: 1) { nodes { name } totalCount pageInfo { hasNextPage } }
        }""",
    )

    assert data == {
        "all": {"nodes": [{"n": "a"}, {"n": "b"}]},
        "same": {"nodes": [{"metadata": {"t": ["x"]}, "v": 1}, {"metadata": {"t": []}, "v": 2}]},
        "published": {"nodes": [{"name": "a"}], "totalCount": 1},
        "one": {"nodes": [{"name": "a"}], "totalCount": 2, "pageInfo": {"hasNextPage": True}},
    }


async def test_only_where_avatars_are_distributed_is_the_owner_read_with_them(stores: Stores) -> None:
    user = await create_user(stores)  # so that it is known whether they are
    design = await create_design(stores, user_id=user.id, avatar_id=new_id())

    (alone,) = await store.by_id(stores, [object_id(design)], frozenset(("name",)))
    (worn,) = await store.by_id(stores, [object_id(design)], frozenset(("name", "avatar_id")))

    assert alone is not None
    assert worn is not None
    assert alone.keys() == {"_id", "name"}
    assert worn.keys() - alone.keys() == {"avatarId", *(("userId",) if stores.distribution.is_distributed else ())}
