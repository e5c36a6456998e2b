"""Avatars as clients read them."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from api.stores.stores import Stores
from tests.support.factories.avatars import avatars, create_avatar
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user
from tests.support.graphql import execute, gid

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(admin: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client that may see everything."""
    return admin


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FIELDS = """
    __typename id name gender measurements { height weight chest waist hips shoulderWidth }
    modelUrl thumbnailUrl isDefault createdAt updatedAt owner { id email }
"""
MEASUREMENTS = {"height": 172.5, "weight": 61, "chest": 88, "waist": 70.25, "hips": 96, "shoulderWidth": 41}


async def test_every_field(client: httpx.AsyncClient, stores: Stores) -> None:
    owner = await create_user(stores, email="ada@example.com")
    avatar = await create_avatar(
        stores,
        user_id=owner.id,
        name="Évening 🧍",
        gender="female",
        measurements=MEASUREMENTS,
        model_url="https://cdn.example.com/model.glb",
        thumbnail_url="https://cdn.example.com/model.png",
        is_default=True,
        created_at=NOON,
        updated_at=NOON,
    )

    data = await execute(client, f"query ($id: ID!) {{ avatar(id: $id) {{ {FIELDS} }} }}", id=gid(avatar))

    assert data["avatar"] == {
        "__typename": "Avatar",
        "id": gid(avatar),
        "name": "Évening 🧍",
        "gender": "FEMALE",
        "measurements": {
            "height": 172.5,
            "weight": 61.0,
            "chest": 88.0,
            "waist": 70.25,
            "hips": 96.0,
            "shoulderWidth": 41.0,
        },
        "modelUrl": "https://cdn.example.com/model.glb",
        "thumbnailUrl": "https://cdn.example.com/model.png",
        "isDefault": True,
        "createdAt": "2026-01-01T12:00:00+00:00",
        "updatedAt": "2026-01-01T12:00:00+00:00",
        "owner": {"id": gid(owner), "email": "ada@example.com"},
    }


async def test_what_an_avatar_may_lack(client: httpx.AsyncClient, stores: Stores) -> None:
    avatar = await create_avatar(stores, measurements={"height": 180})

    data = await execute(client, f"query ($id: ID!) {{ avatar(id: $id) {{ {FIELDS} }} }}", id=gid(avatar))

    found = data["avatar"]
    assert (found["gender"], found["isDefault"], found["modelUrl"], found["thumbnailUrl"]) == (
        "UNISEX",
        False,
        None,
        None,
    )
    assert found["measurements"] == {
        "height": 180.0,
        "weight": None,
        "chest": None,
        "waist": None,
        "hips": None,
        "shoulderWidth": None,
    }


async def test_one_measure_alone(client: httpx.AsyncClient, stores: Stores) -> None:
    avatar = await create_avatar(stores, measurements=MEASUREMENTS)

    data = await execute(
        client, "query ($id: ID!) { avatar(id: $id) { measurements { shoulderWidth } } }", id=gid(avatar)
    )

    assert data == {"avatar": {"measurements": {"shoulderWidth": 41.0}}}


@pytest.mark.parametrize("gender", ["male", "female", "unisex"])
async def test_every_gender(client: httpx.AsyncClient, stores: Stores, gender: str) -> None:
    avatar = await create_avatar(stores, gender=gender)

    assert await execute(client, "{ avatars { nodes { id gender } } }") == {
        "avatars": {"nodes": [{"id": gid(avatar), "gender": gender.upper()}]}
    }


async def test_a_deleted_avatar_is_absent_until_it_is_restored(client: httpx.AsyncClient, stores: Stores) -> None:
    owner = await create_user(stores)
    avatar = await create_avatar(stores, user_id=owner.id, is_default=True)
    await create_design(stores, name="worn", avatar_id=avatar.id)
    await avatars(stores).soft_delete(avatar.id)
    query = """query ($avatar: ID!, $owner: ID!) {
      avatar(id: $avatar) { id } node(id: $avatar) { id }
      avatars { nodes { id } totalCount }
      user(id: $owner) { defaultAvatar { id } avatars { nodes { id } totalCount } }
      designs { nodes { name avatar { id } } }
    }"""

    deleted = await execute(client, query, avatar=gid(avatar), owner=gid(owner))
    await avatars(stores).restore(avatar.id)
    restored = await execute(client, query, avatar=gid(avatar), owner=gid(owner))

    nothing = {"nodes": [], "totalCount": 0}
    assert deleted == {
        "avatar": None,
        "node": None,
        "avatars": nothing,
        "user": {"defaultAvatar": None, "avatars": nothing},
        "designs": {"nodes": [{"name": "worn", "avatar": None}]},
    }
    it = {"id": gid(avatar)}
    assert restored == {
        "avatar": it,
        "node": it,
        "avatars": {"nodes": [it], "totalCount": 1},
        "user": {"defaultAvatar": it, "avatars": {"nodes": [it], "totalCount": 1}},
        "designs": {"nodes": [{"name": "worn", "avatar": it}]},
    }


async def test_designs_of_avatars(client: httpx.AsyncClient, stores: Stores) -> None:
    first, second = await create_avatar(stores, name="first"), await create_avatar(stores, name="second")
    await create_design(stores, name="one", avatar_id=first.id)
    await create_design(stores, name="two", avatar_id=first.id, status="published")
    await create_design(stores, name="deleted", avatar_id=first.id, deleted_at=NOON)
    await create_design(stores, name="nobody's")
    assert second.id != first.id

    data = await execute(
        client,
        """{ avatars(orderBy: {field: NAME}) { nodes {
          name designs(orderBy: {field: NAME}) { nodes { name status avatar { name } } totalCount }
        } } }""",
    )

    worn = {"avatar": {"name": "first"}}
    assert data["avatars"]["nodes"] == [
        {
            "name": "first",
            "designs": {
                "nodes": [{"name": "one", "status": "DRAFT"} | worn, {"name": "two", "status": "PUBLISHED"} | worn],
                "totalCount": 2,
            },
        },
        {"name": "second", "designs": {"nodes": [], "totalCount": 0}},
    ]
