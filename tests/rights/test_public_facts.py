"""What everyone may know, by every way: who offers an item, how old an account is, a deactivated one's work."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from api.stores.stores import Stores
from models import new_id
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.factories.users import create_user
from tests.support.graphql import execute, gid
from tests.support.mutations.designs import changed
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio


async def test_who_offers_an_item_is_told_alike_by_field_and_filter(client: httpx.AsyncClient, stores: Stores) -> None:
    # given: one who offers an item, one whose only items nobody sees, and one who designs
    maker, resting, designer = [await create_user(stores, role=role) for role in ("brand", "brand", "user")]
    item = await create_catalog_item(stores, created_by=maker.id)
    await create_catalog_item(stores, created_by=maker.id, is_active=False)
    await create_catalog_item(stores, created_by=resting.id, is_active=False)
    await create_catalog_item(stores, created_by=resting.id, deleted_at=resting.created_at)
    stranger, _ = await signed_in(client, stores)
    query = """query ($users: [ID!]) {
        catalogItems(filter: { createdBy: $users }) { totalCount nodes { id brand { id firstName role } } }
        others: catalogItems(filter: { not: { createdBy: $users } }) { totalCount }
    }"""

    for viewer in (client, stranger):
        for user, found in ((maker, [item]), (resting, []), (designer, [])):
            data = await execute(viewer, query, users=[gid(user)])

            brand = {"id": gid(user), "firstName": "Ada", "role": None}
            nodes = [{"id": gid(each), "brand": brand} for each in found]
            assert data["catalogItems"] == {"totalCount": len(found), "nodes": nodes}
            assert data["others"] == {"totalCount": 1 - len(found)}


async def test_since_when_there_is_an_account(client: httpx.AsyncClient, stores: Stores) -> None:
    designer, hidden = await create_user(stores, id=new_id()), await create_user(stores)
    await create_design(stores, user_id=designer.id, status="published", layers=[layer_of(None)])
    query = """query ($ids: [ID!]!) {
        nodes(ids: $ids) { ... on User { createdAt updatedAt email } }
        designs { nodes { owner { createdAt } } }
    }"""

    data = await execute(client, query, ids=[gid(designer), gid(hidden)])

    told = datetime.fromtimestamp((designer.id.int >> 80) / 1000, UTC)
    assert abs((told - designer.created_at).total_seconds()) < 60
    known = {"createdAt": designer.created_at.isoformat()}
    assert data["nodes"] == [known | {"updatedAt": None, "email": None}, None]
    assert data["designs"]["nodes"] == [{"owner": known}]


async def test_the_work_of_a_deactivated_account_stays_until_an_admin_hides_it(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    # given
    brand, user = await signed_in(client, stores, "brand")
    admin, _ = await signed_in(client, stores, "admin")
    item = await create_catalog_item(stores, created_by=user.id)
    design = await create_design(stores, user_id=user.id, status="published", layers=[layer_of(item.id)])
    await create_design(stores, user_id=user.id, layers=[layer_of(item.id)])
    query = """query ($user: ID!) {
        designs { totalCount nodes { id owner { firstName designs { totalCount } } layers { catalogItem { id } } } }
        ofItem: catalogItems { nodes { id brand { firstName } designs { totalCount } } }
        user(id: $user) { firstName isActive designs { nodes { id } } }
    }"""
    before = await execute(client, query, user=gid(user))
    assert before["designs"]["totalCount"] == 1
    assert before["user"] == {"firstName": "Ada", "isActive": None, "designs": {"nodes": [{"id": gid(design)}]}}

    # when
    deactivate = "mutation ($id: ID!) { deactivateUser(input: { id: $id }) { user { isActive } errors { code } } }"
    payload = (await execute(admin, deactivate, id=gid(user)))["deactivateUser"]

    # then: everything is as it was, but for its owner
    assert payload == {"user": {"isActive": False}, "errors": []}
    assert await execute(client, query, user=gid(user)) == before
    refused = (await brand.post("/graphql", json={"query": "{ viewer { id } }"})).json()
    assert [error["extensions"]["code"] for error in refused["errors"]] == ["INVALID_ACCESS_TOKEN"]

    # when, then: what an admin archives is hidden, and with it whose it was
    await changed(admin, "archiveDesign", id=gid(design))
    after: dict[str, Any] = await execute(client, query, user=gid(user))
    assert (after["designs"], after["user"]) == ({"totalCount": 0, "nodes": []}, None)
    assert after["ofItem"]["nodes"][0]["brand"] == {"firstName": "Ada"}
