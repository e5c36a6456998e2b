"""Users as clients read them."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest
import structlog

from api.stores.stores import Stores
from models import new_id
from tests.support.factories.avatars import avatars, create_avatar
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user, users
from tests.support.graphql import execute, gid

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(admin: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client that may see everything."""
    return admin


NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
FIELDS = """
    __typename id email firstName lastName role isActive emailVerified createdAt updatedAt
    createdBy { id } updatedBy { email } defaultAvatar { name }
"""


async def test_every_field(client: httpx.AsyncClient, stores: Stores) -> None:
    root = await create_user(stores, email="root@example.com")
    ada = await create_user(
        stores,
        email="Ada@example.com",
        first_name="Ada",
        last_name="Lovelace",
        role="premium",
        is_active=False,
        email_verified=True,
        created_at=NOON,
        updated_at=NOON,
        created_by=root.id,
        updated_by=root.id,
    )
    await create_avatar(stores, user_id=ada.id, name="Default", is_default=True)

    data = await execute(client, f"query ($id: ID!) {{ user(id: $id) {{ {FIELDS} }} }}", id=gid(ada))

    assert data["user"] == {
        "__typename": "User",
        "id": gid(ada),
        "email": "Ada@example.com",
        "firstName": "Ada",
        "lastName": "Lovelace",
        "role": "PREMIUM",
        "isActive": False,
        "emailVerified": True,
        "createdAt": "2026-01-01T12:00:00.123456+00:00",
        "updatedAt": "2026-01-01T12:00:00.123456+00:00",
        "createdBy": {"id": gid(root)},
        "updatedBy": {"email": "root@example.com"},
        "defaultAvatar": {"name": "Default"},
    }


async def test_what_a_user_may_lack(client: httpx.AsyncClient, stores: Stores) -> None:
    user = await create_user(stores, first_name=None, last_name=None)

    with structlog.testing.capture_logs() as logs:
        data = await execute(client, f"query ($id: ID!) {{ user(id: $id) {{ {FIELDS} }} }}", id=gid(user))

    for field in ("firstName", "lastName", "createdBy", "updatedBy", "defaultAvatar"):
        assert data["user"][field] is None
    assert (data["user"]["role"], data["user"]["isActive"], data["user"]["emailVerified"]) == ("USER", True, False)
    # to have no default avatar is no lost reference
    assert [entry["event"] for entry in logs] == ["request"]


@pytest.mark.parametrize("role", ["user", "premium", "brand", "admin"])
async def test_every_role(client: httpx.AsyncClient, stores: Stores, role: str) -> None:
    user = await create_user(stores, role=role)

    assert await execute(client, "query ($id: ID!) { user(id: $id) { role } }", id=gid(user)) == {
        "user": {"role": role.upper()}
    }


async def test_node(client: httpx.AsyncClient, stores: Stores) -> None:
    user = await create_user(stores, email="ada@example.com")

    data = await execute(
        client,
        """query ($id: ID!, $ids: [ID!]!) {
          node(id: $id) { __typename id ... on User { email } ... on Avatar { name } }
          nodes(ids: $ids) { ...F }
        }
        fragment F on Node { id ... on User { firstName } }""",
        id=gid(user),
        ids=[gid(user), gid(user)],
    )

    assert data == {
        "node": {"__typename": "User", "id": gid(user), "email": "ada@example.com"},
        "nodes": [{"id": gid(user), "firstName": "Ada"}] * 2,
    }


async def test_a_deleted_user_is_absent(client: httpx.AsyncClient, stores: Stores) -> None:
    user = await create_user(stores)
    child = await create_user(stores, created_by=user.id, updated_by=user.id)
    avatar = await create_avatar(stores, user_id=user.id)
    design = await create_design(stores, user_id=user.id)
    await users(stores).soft_delete(user.id)

    with structlog.testing.capture_logs() as logs:
        data = await execute(
            client,
            """query ($user: ID!, $child: ID!, $avatar: ID!, $design: ID!) {
              user(id: $user) { id } node(id: $user) { id } nodes(ids: [$user]) { id }
              users { nodes { id } totalCount }
              child: user(id: $child) { createdBy { id } updatedBy { id } }
              avatar(id: $avatar) { owner { id } }
              design(id: $design) { owner { id } }
            }""",
            user=gid(user),
            child=gid(child),
            avatar=gid(avatar),
            design=gid(design),
        )

    assert data == {
        "user": None,
        "node": None,
        "nodes": [None],
        "users": {"nodes": [{"id": gid(child)}], "totalCount": 1},
        "child": {"createdBy": None, "updatedBy": None},
        "avatar": {"owner": None},
        "design": {"owner": None},
    }
    # a deleted user is not a lost one
    assert [entry["event"] for entry in logs] == ["request"]


async def test_the_default_avatar_is_the_live_one(client: httpx.AsyncClient, stores: Stores) -> None:
    user, other = await create_user(stores), await create_user(stores)
    deleted = await create_avatar(stores, user_id=user.id, name="Deleted", is_default=True)
    await avatars(stores).soft_delete(deleted.id)
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on User { defaultAvatar { name owner { id } } } } }"
    ids = [gid(user), gid(other)]

    before = await execute(client, query, ids=ids)
    await create_avatar(stores, user_id=user.id, name="Second", is_default=False)
    await create_avatar(stores, user_id=user.id, name="Third", is_default=True)
    await create_avatar(stores, user_id=other.id, name="Other", is_default=True)
    after = await execute(client, query, ids=ids)

    assert before["nodes"] == [{"defaultAvatar": None}, {"defaultAvatar": None}]
    assert after["nodes"] == [
        {"defaultAvatar": {"name": "Third", "owner": {"id": gid(user)}}},
        {"defaultAvatar": {"name": "Other", "owner": {"id": gid(other)}}},
    ]


async def test_nested_lists(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, bob = await create_user(stores, email="ada@example.com"), await create_user(stores, email="bob@example.com")
    for name in ("one", "two"):
        await create_avatar(stores, user_id=ada.id, name=name)
        await create_design(stores, user_id=ada.id, name=name)
    await create_avatar(stores, user_id=ada.id, deleted_at=NOON)
    await create_design(stores, user_id=ada.id, deleted_at=NOON)
    await create_design(stores, user_id=new_id())

    data = await execute(
        client,
        """{ users(orderBy: {field: EMAIL}) { nodes {
          avatars { nodes { name owner { email } } totalCount }
          designs { nodes { name owner { email } } edges { node { name } } totalCount }
        } } }""",
    )

    owner = {"owner": {"email": "ada@example.com"}}
    both = [{"name": "two"} | owner, {"name": "one"} | owner]
    assert data["users"]["nodes"] == [
        {
            "avatars": {"nodes": both, "totalCount": 2},
            "designs": {
                "nodes": both,
                "edges": [{"node": {"name": "two"}}, {"node": {"name": "one"}}],
                "totalCount": 2,
            },
        },
        {"avatars": {"nodes": [], "totalCount": 0}, "designs": {"nodes": [], "edges": [], "totalCount": 0}},
    ]
    assert gid(bob) != gid(ada)


async def test_one_user_in_many_places(client: httpx.AsyncClient, stores: Stores) -> None:
    """Each place asks for other fields of the same row."""
    user = await create_user(stores, email="ada@example.com", role="brand")
    await create_avatar(stores, user_id=user.id)
    await create_design(stores, user_id=user.id)

    data = await execute(
        client,
        """query ($id: ID!) {
          a: user(id: $id) { firstName }
          b: user(id: $id) { lastName designs { nodes { owner { role } } } avatars { nodes { owner { email } } } }
          users { nodes { emailVerified } edges { node { isActive } } }
          designs { nodes { owner { createdAt avatars { nodes { owner { id } } } } } }
        }""",
        id=gid(user),
    )

    assert data == {
        "a": {"firstName": "Ada"},
        "b": {
            "lastName": "Lovelace",
            "designs": {"nodes": [{"owner": {"role": "BRAND"}}]},
            "avatars": {"nodes": [{"owner": {"email": "ada@example.com"}}]},
        },
        "users": {"nodes": [{"emailVerified": False}], "edges": [{"node": {"isActive": True}}]},
        "designs": {
            "nodes": [
                {
                    "owner": {
                        "createdAt": user.created_at.isoformat(),
                        "avatars": {"nodes": [{"owner": {"id": gid(user)}}]},
                    }
                }
            ]
        },
    }
