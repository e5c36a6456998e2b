"""What brands and admins change about the catalog, and what they can't."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from starlette.applications import Starlette

from api.ids import encode_id
from api.stores.stores import Stores
from models import CatalogItem, new_id
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import catalog_items, create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.graphql import error_of, execute, gid, respond, sent
from tests.support.mutations.objects import NOT_FOUND, Mutations, invalid
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

MUTATIONS = Mutations(
    "catalogItem",
    """id name description type category properties { color texture material patternType tags }
    assetUrl thumbnailUrl isPremium isActive price""",
)
mutation, mutate, change, refused = MUTATIONS.document, MUTATIONS.payload, MUTATIONS.changed, MUTATIONS.refused
FORBIDDEN = ("FORBIDDEN", "Your account may not do this.")
UNAUTHENTICATED = ("UNAUTHENTICATED", "Sign in first.")


async def stored(stores: Stores, item: CatalogItem) -> dict[str, Any]:
    """All columns of an item as they are now."""
    statement = select(*CatalogItem.__table__.c).where(CatalogItem.id == item.id)
    return dict((await catalog_items(stores).read_statement(statement))[0]._mapping)


async def count(stores: Stores) -> int:
    return await catalog_items(stores).count(include_deleted=True)


SILK = {
    "name": " Silk ",
    "description": "Light and shiny.",
    "type": "FABRIC",
    "category": "DRESS",
    "properties": {"color": "red", "material": " silk", "patternType": None, "tags": ["summer", " light "]},
    "assetUrl": "https://example.com/silk.glb",
    "thumbnailUrl": "https://example.com/silk.png",
    "isPremium": True,
    "isActive": False,
    "price": 2**31 - 1,
}


@pytest.mark.parametrize("role", ["brand", "admin"])
async def test_an_item_is_created_with_everything(client: httpx.AsyncClient, stores: Stores, role: str) -> None:
    # given
    mine, user = await signed_in(client, stores, role)

    # when
    item = await change(mine, "createCatalogItem", **SILK)

    # then
    assert item == SILK | {
        "id": item["id"],
        "name": "Silk",
        "properties": {
            **{"color": "red", "texture": None, "material": "silk", "patternType": None},
            "tags": ["summer", "light"],
        },
    }
    (row,) = await catalog_items(stores).find_all()
    assert gid(row) == item["id"]
    assert row.properties == {"color": "red", "material": "silk", "tags": ["summer", "light"]}
    assert (row.created_by, row.updated_by) == (user.id, user.id)


async def test_an_item_is_created_with_a_name_and_a_type_only(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, _ = await signed_in(client, stores, "brand")

    item = await change(mine, "createCatalogItem", name="Silk", type="PATTERN")

    assert item == {
        "id": item["id"],
        "name": "Silk",
        "description": None,
        "type": "PATTERN",
        "category": None,
        "properties": {"color": None, "texture": None, "material": None, "patternType": None, "tags": []},
        "assetUrl": None,
        "thumbnailUrl": None,
        "isPremium": False,
        "isActive": True,
        "price": 0,
    }
    (row,) = await catalog_items(stores).find_all()
    assert row.properties == {}


@pytest.mark.parametrize("role", [None, "user", "premium"])
async def test_others_change_nothing(client: httpx.AsyncClient, stores: Stores, role: str | None) -> None:
    # given: even an item that the account created when it still was a brand's, and whatever else is wrong
    mine, answer, created_by = client, UNAUTHENTICATED, None
    if role is not None:
        mine, user = await signed_in(client, stores, role)
        answer, created_by = FORBIDDEN, user.id
    item = await create_catalog_item(stores, created_by=created_by)
    before = await stored(stores, item)

    # when, then
    for name, given in [
        ("createCatalogItem", {"name": "", "type": "FABRIC"}),
        ("updateCatalogItem", {"id": gid(item), "price": 5}),
        ("deleteCatalogItem", {"id": gid(item)}),
        ("restoreCatalogItem", {"id": gid(item)}),
        ("restoreCatalogItem", {"id": "rubbish"}),
    ]:
        assert await error_of(mine, mutation(name), input=given) == answer
    assert await stored(stores, item) == before
    assert await count(stores) == 1


async def test_brands_change_their_own_items_only(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, _ = await signed_in(client, stores, "brand")
    _, other = await signed_in(client, stores, "brand")
    seen = [await create_catalog_item(stores, created_by=id) for id in (other.id, None)]
    unseen = await create_catalog_item(stores, created_by=other.id, is_active=False)
    deleted = await create_catalog_item(stores, created_by=other.id)
    await catalog_items(stores).soft_delete(deleted.id)
    before = [await stored(stores, item) for item in (*seen, unseen, deleted)]

    # when, then
    for name, given in [("updateCatalogItem", {"price": 5}), ("updateCatalogItem", {}), ("deleteCatalogItem", {})]:
        for item in (*seen, unseen, deleted):
            assert await refused(mine, name, id=gid(item), **given) == NOT_FOUND
    for item in (*seen, unseen, deleted):
        assert await refused(mine, "restoreCatalogItem", id=gid(item)) == NOT_FOUND
    assert [await stored(stores, item) for item in (*seen, unseen, deleted)] == before


@pytest.mark.parametrize("role", ["brand", "admin"])
@pytest.mark.parametrize("is_active", [True, False])
async def test_brands_change_their_own_and_admins_all(
    client: httpx.AsyncClient, stores: Stores, role: str, is_active: bool
) -> None:
    # given
    mine, user = await signed_in(client, stores, role)
    item = await create_catalog_item(stores, is_active=is_active, created_by=user.id if role == "brand" else None)

    # when, then
    assert (await change(mine, "updateCatalogItem", id=gid(item), price=5))["price"] == 5
    assert (await change(mine, "deleteCatalogItem", id=gid(item)))["name"] == "Silk"
    assert await catalog_items(stores).find_by_id(item.id) is None
    assert (await change(mine, "restoreCatalogItem", id=gid(item)))["price"] == 5
    after = await stored(stores, item)
    assert (after["deleted_at"], after["updated_by"], after["is_active"]) == (None, user.id, is_active)
    assert after["created_by"] == item.created_by


WRONG = {
    "name": "",
    "description": "a" * 10_001,
    "properties": {"color": " ", "texture": "a" * 256, "tags": ["a", "", "b" * 65]},
    "assetUrl": "file:///etc/passwd",
    "thumbnailUrl": "//example.com/a.png",
    "price": -1,
}
ALL_WRONG = invalid(
    *("name", "description", "properties.color", "properties.texture", "properties.tags.1", "properties.tags.2"),
    *("assetUrl", "thumbnailUrl", "price"),
)


async def test_every_failure_of_an_input_is_told_at_once(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores, created_by=user.id)
    before = await stored(stores, item)

    # when, then
    assert await refused(mine, "createCatalogItem", type="FABRIC", **WRONG) == ALL_WRONG
    rubbish = {"id": "rubbish"}
    found = await refused(mine, "updateCatalogItem", **WRONG, **rubbish)
    assert found == invalid("id") + ALL_WRONG
    assert await refused(mine, "deleteCatalogItem", **rubbish) == invalid("id")
    assert await stored(stores, item) == before
    assert await count(stores) == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", None),
        ("name", "a" * 256),
        ("name", "a\0"),
        ("description", "a\0"),
        ("type", None),
        ("properties.color", "a\0"),
        ("properties.tags", ["a", "b", " a"]),
        ("properties.tags", [f"tag {n}" for n in range(51)]),
        ("properties.tags.0", ["a\0"]),
        ("isPremium", None),
        ("isActive", None),
        ("price", None),
        ("price", -(2**31)),
    ],
)
async def test_what_a_field_does_not_take(client: httpx.AsyncClient, stores: Stores, path: str, value: Any) -> None:
    # given
    mine, user = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores, created_by=user.id)
    before = await stored(stores, item)

    # when
    field, _, inner = path.partition(".")
    given = {field: {inner.removesuffix(".0"): value} if inner else value}
    found = await refused(mine, "updateCatalogItem", **{"id": gid(item), "category": "TOP", **given})

    # then
    assert found == invalid(path)
    assert await stored(stores, item) == before


@pytest.mark.parametrize(
    "given",
    [
        {"id": None},
        {"price": 2**31},
        {"price": 1.5},
        {"price": "1"},
        {"type": "SHOE"},
        {"category": "top"},
        {"properties": {"tags": [None]}},
        {"properties": {"weight": 5}},
        {"createdBy": "me"},
    ],
)
async def test_what_the_schema_does_not_take(client: httpx.AsyncClient, stores: Stores, given: dict[str, Any]) -> None:
    # given
    mine, user = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores, created_by=user.id)
    before = await stored(stores, item)

    # when
    body = await respond(mine, mutation("updateCatalogItem"), input={"id": gid(item), **given})

    # then
    assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_VARIABLES"]
    assert await stored(stores, item) == before


async def test_the_longest_values_are_taken(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, _ = await signed_in(client, stores, "brand")
    address = "https://example.com/"
    longest: dict[str, Any] = {
        "name": "ä" * 255,
        "type": "SILHOUETTE",
        "description": "ä" * 10_000,
        "assetUrl": address + "a" * (2048 - len(address)),
        "properties": {"color": "ä" * 255, "tags": [f"{n:02}" + "ä" * 62 for n in range(50)]},
    }

    # when
    item = await change(mine, "createCatalogItem", **longest)

    # then
    assert item["properties"].items() >= longest.pop("properties").items()
    assert item.items() >= longest.items()


async def test_an_update_changes_what_is_given_and_leaves_the_rest(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    admin, actor = await signed_in(client, stores, "admin")
    _, brand = await signed_in(client, stores, "brand")
    item = await create_catalog_item(
        stores,
        description="Light",
        category="dress",
        properties={"color": "red", "tags": ["summer"]},
        asset_url="https://example.com/silk.glb",
        is_premium=True,
        price=100,
        created_by=brand.id,
    )
    before = await stored(stores, item)

    # when
    changed = await change(
        admin,
        "updateCatalogItem",
        **{"id": gid(item), "description": None, "category": None, "properties": {"color": "blue"}, "isActive": False},
    )

    # then
    assert (changed["description"], changed["category"], changed["isActive"]) == (None, None, False)
    assert (changed["properties"]["color"], changed["properties"]["tags"]) == ("blue", ["summer"])
    after = await stored(stores, item)
    assert after["updated_at"] > before["updated_at"]
    assert after == before | {
        "description": None,
        "category": None,
        "properties": {"color": "blue", "tags": ["summer"]},
        "is_active": False,
        "updated_by": actor.id,
        "updated_at": after["updated_at"],
    }

    # when, then: null removes a property, and all of them
    changed = await change(admin, "updateCatalogItem", id=gid(item), properties={"tags": None, "material": "silk"})
    assert (await stored(stores, item))["properties"] == {"color": "blue", "material": "silk"}
    assert changed["properties"] == {
        **{"color": "blue", "texture": None, "material": "silk", "patternType": None, "tags": []}
    }
    assert (await change(admin, "updateCatalogItem", id=gid(item), properties=None))["properties"]["color"] is None
    assert (await stored(stores, item))["properties"] == {}


async def test_an_update_of_nothing_writes_nothing(app: Starlette, client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores, created_by=user.id)
    before = await stored(stores, item)

    # when
    with sent(app) as costs:
        unchanged = await change(mine, "updateCatalogItem", id=gid(item))

    # then
    assert unchanged["name"] == "Silk"
    assert [statement for statement in costs.sql if "UPDATE" in statement] == []
    assert await stored(stores, item) == before


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores, "brand")
    deleted = await create_catalog_item(stores, created_by=user.id)
    await catalog_items(stores).soft_delete(deleted.id)
    before = await stored(stores, deleted)
    avatar = await create_avatar(stores)

    # when, then
    for name in ("updateCatalogItem", "deleteCatalogItem"):
        for id in (gid(deleted), encode_id("CatalogItem", new_id())):
            assert await refused(mine, name, id=id) == NOT_FOUND
    for name in ("updateCatalogItem", "deleteCatalogItem", "restoreCatalogItem"):
        for id in (gid(avatar), "rubbish", ""):
            assert await refused(mine, name, id=id) == invalid("id")
    assert await stored(stores, deleted) == before

    # when, then: what lives can't be restored
    live = await create_catalog_item(stores, created_by=user.id)
    for id in (gid(live), encode_id("CatalogItem", new_id())):
        assert await refused(mine, "restoreCatalogItem", id=id) == NOT_FOUND


STALE = {
    "__typename": "ConflictError",
    "code": "STALE",
    "message": "The catalog item has changed since it was read.",
    "path": ["expectedUpdatedAt"],
}


async def test_a_stale_change_changes_nothing_and_shows_the_item(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores, created_by=user.id)
    old = (await stored(stores, item))["updated_at"].isoformat(timespec="milliseconds")
    changed = await change(mine, "updateCatalogItem", id=gid(item), name="Changed", expectedUpdatedAt=old)
    before = await stored(stores, item)

    # when, then
    for name, given in [("updateCatalogItem", {"name": "Late"}), ("updateCatalogItem", {}), ("deleteCatalogItem", {})]:
        payload = await mutate(mine, name, id=gid(item), expectedUpdatedAt=old, **given)
        assert payload == {"catalogItem": changed, "errors": [STALE]}
    assert await stored(stores, item) == before

    # when, then: as it is now
    now = before["updated_at"].isoformat()
    assert (await change(mine, "deleteCatalogItem", id=gid(item), expectedUpdatedAt=now))["name"] == "Changed"


async def test_a_foreign_item_is_refused_whatever_is_expected(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, _ = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores)
    given = {"id": gid(item), "name": "Mine", "expectedUpdatedAt": "2020-01-01T00:00:00Z"}

    assert await refused(mine, "updateCatalogItem", **given) == NOT_FOUND
    assert (await stored(stores, item))["name"] == "Silk"


async def test_of_many_changes_that_expect_the_same_one_succeeds(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores, created_by=user.id)
    moment = (await stored(stores, item))["updated_at"].isoformat()

    # when
    answers = await asyncio.gather(
        *(mutate(mine, "updateCatalogItem", id=gid(item), price=n, expectedUpdatedAt=moment) for n in range(1, 11))
    )

    # then
    won = [answer["catalogItem"]["price"] for answer in answers if not answer["errors"]]
    assert [answer["errors"] for answer in answers if answer["errors"]] == [[STALE]] * 9
    assert [(await stored(stores, item))["price"]] == won


async def test_of_many_deletions_or_restorations_at_once_one_succeeds(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    mine, user = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores, created_by=user.id)

    for name in ("deleteCatalogItem", "restoreCatalogItem"):
        payloads = await asyncio.gather(*(mutate(mine, name, id=gid(item)) for _ in range(5)))
        assert [error["code"] for payload in payloads for error in payload["errors"]] == ["NOT_FOUND"] * 4
    assert (await stored(stores, item))["deleted_at"] is None


async def test_designs_show_an_item_again_when_it_is_restored(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores, created_by=user.id)
    design = await create_design(stores, user_id=user.id, layers=[layer_of(item.id)])
    query = "query ($id: ID!) { design(id: $id) { layers { catalogItem { name } } } }"

    async def shown() -> Any:
        return (await execute(mine, query, id=gid(design)))["design"]["layers"][0]["catalogItem"]

    # when, then
    await change(mine, "deleteCatalogItem", id=gid(item))
    assert await shown() is None
    await change(mine, "restoreCatalogItem", id=gid(item))
    assert await shown() == {"name": "Silk"}
    await change(mine, "updateCatalogItem", id=gid(item), isActive=False)
    assert await shown() == {"name": "Silk"}


async def test_the_asset_of_what_a_brand_writes_is_told_to_it(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, _ = await signed_in(client, stores, "brand")
    given = {"name": "Silk", "type": "FABRIC", "isPremium": True, "assetUrl": "https://example.com/silk.glb"}

    assert (await change(mine, "createCatalogItem", **given))["assetUrl"] == "https://example.com/silk.glb"


async def test_later_fields_of_an_operation_see_what_earlier_ones_did(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    # given
    mine, user = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores, created_by=user.id)
    design = await create_design(stores, user_id=user.id, layers=[layer_of(item.id)])
    shown = "designs { nodes { name layers { catalogItem { name } } } }"
    query = f"""
    mutation ($id: ID!) {{
      a: updateCatalogItem(input: {{id: $id, name: "Satin"}}) {{ catalogItem {{ name {shown} }} }}
      b: deleteCatalogItem(input: {{id: $id}}) {{ catalogItem {{ {shown} }} }}
      c: updateCatalogItem(input: {{id: $id, name: "Velvet"}}) {{ errors {{ code }} }}
      d: restoreCatalogItem(input: {{id: $id}}) {{ catalogItem {{ {shown} }} }}
    }}
    """

    # when
    answer = await execute(mine, query, id=gid(item))

    # then
    def seen(field: str) -> list[Any]:
        (found,) = answer[field]["catalogItem"]["designs"]["nodes"]
        assert found["name"] == design.name
        return [layer["catalogItem"] for layer in found["layers"]]

    assert seen("a") == [{"name": "Satin"}]
    assert seen("b") == [None]
    assert answer["c"] == {"errors": [{"code": "NOT_FOUND"}]}
    assert seen("d") == [{"name": "Satin"}]


async def test_the_statements_of_each_mutation(app: Starlette, client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores, created_by=user.id)
    named = Mutations("catalogItem", "name", "code")

    async def cost(name: str, /, **given: Any) -> int:
        with sent(app) as costs:
            assert (await named.payload(mine, name, **given))["errors"] == []
        assert costs.mongo == 0
        return len([statement for statement in costs.sql if "account_sessions" not in statement])

    # when, then: the first says who acts
    assert await cost("createCatalogItem", name="Silk", type="FABRIC") == 2
    assert await cost("updateCatalogItem", id=gid(item), name="Satin") == 2
    assert await cost("deleteCatalogItem", id=gid(item)) == 2
    assert await cost("restoreCatalogItem", id=gid(item)) == 2
