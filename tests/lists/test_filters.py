"""Each filter of each list; where both stores know it, with the same meaning in both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from bson import ObjectId

from api.ids import encode_id
from api.stores.stores import Stores
from models import new_id
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, insert_design, layer_of
from tests.support.factories.users import create_user
from tests.support.graphql import LISTS, TYPES, execute, gid

pytestmark = pytest.mark.anyio


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BOTH = pytest.mark.parametrize("name", ["catalogItems", "designs"])


async def create(stores: Stores, list_name: str, **values: Any) -> Any:
    """A catalog item or a design; both take a name, tags and times."""
    tags = values.pop("tags", None)
    if list_name == "catalogItems":
        return await create_catalog_item(stores, **values, properties={} if tags is None else {"tags": tags})
    return await create_design(stores, **values, metadata={} if tags is None else {"tags": tags})


async def found(client: httpx.AsyncClient, name: str, filter: Any, what: str = "name") -> list[Any]:
    """One field of each object that the filter finds, sorted. Its count must agree."""
    query = f"""query ($filter: {TYPES[name]}Filter) {{
        {name}(filter: $filter, first: 100) {{ nodes {{ {what} }} totalCount }}
    }}"""
    page = (await execute(client, query, filter=filter))[name]
    assert page["totalCount"] == len(page["nodes"])
    return sorted(node[what] for node in page["nodes"])


TEXTS = [
    *("Red_50%", "Red 50", "red-x50", "back\\slash", "a.b*c", "axbbc", "(paren)[bra]{ce}^$|+?"),
    *("ÜBER", "über", "two\nlines", "two lines", "#hash & more", "'quoted'", '"double"', "$set", "*", "日本 ☂ 🧥"),
]


@BOTH
async def test_text(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    for text in TEXTS:
        await create(stores, name, name=text)

    async def named(**condition: Any) -> list[str]:
        return await found(client, name, {"name": condition})

    for text in TEXTS:
        assert await named(equals=text) == [text]
        assert await named(**{"in": text}) == [text]
        assert await named(**{"in": [text, "nothing", text]}) == [text]
        assert text in await named(contains=text)
        assert text in await named(startsWith=text)
        assert text in await named(contains=text[1:])
    assert await named(equals="red_50%") == []
    assert await named(equals="") == []
    assert await named(**{"in": []}) == []
    assert await named(**{"in": ["a.b*c", "ÜBER"]}) == ["a.b*c", "ÜBER"]
    assert await named(contains="%") == ["Red_50%"]
    assert await named(contains="_") == ["Red_50%"]
    assert await named(contains="D_5") == ["Red_50%"]
    assert await named(contains="\\") == ["back\\slash"]
    assert await named(contains="\\s") == ["back\\slash"]
    assert await named(contains="a.b") == ["a.b*c"]
    assert await named(contains=".*") == []
    assert await named(contains="*") == ["*", "a.b*c"]
    assert await named(contains="[bra]") == ["(paren)[bra]{ce}^$|+?"]
    assert await named(contains="^") == ["(paren)[bra]{ce}^$|+?"]
    assert await named(contains="|") == ["(paren)[bra]{ce}^$|+?"]
    assert await named(contains="two l") == ["two lines"]
    assert await named(contains="O\nL") == ["two\nlines"]
    assert await named(contains="# ") == []
    assert await named(contains="'") == ["'quoted'"]
    assert await named(contains='"') == ['"double"']
    assert await named(contains="本 ☂") == ["日本 ☂ 🧥"]
    assert await named(contains="b") == sorted(text for text in TEXTS if "b" in text.lower())
    assert await named(startsWith="RED") == ["Red 50", "Red_50%", "red-x50"]
    assert await named(startsWith="ed") == []
    assert await named(startsWith="lines") == []
    assert await named(startsWith="(p") == ["(paren)[bra]{ce}^$|+?"]
    assert await named(startsWith="$") == ["$set"]
    assert await named(startsWith="") == sorted(TEXTS)
    assert await named(contains="") == sorted(TEXTS)
    assert await named(contains="red", startsWith="r", equals="Red 50") == ["Red 50"]
    assert await named() == sorted(TEXTS)


@BOTH
async def test_text_beyond_ascii_in_any_case(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    await create(stores, name, name="ÜBER")
    await create(stores, name, name="über")

    assert await found(client, name, {"name": {"contains": "ü"}}) == ["ÜBER", "über"]
    assert await found(client, name, {"name": {"startsWith": "Üb"}}) == ["ÜBER", "über"]


@BOTH
async def test_tags(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    await create(stores, name, name="none")
    await create(stores, name, name="empty", tags=[])
    await create(stores, name, name="a", tags=["a"])
    await create(stores, name, name="ab", tags=["a", "b"])
    await create(stores, name, name="odd", tags=["100%", "it's", "$in", "A"])

    async def tagged(**condition: Any) -> list[str]:
        return await found(client, name, {"tags": condition})

    assert await tagged(any="a") == ["a", "ab"]
    assert await tagged(any=["b", "A"]) == ["ab", "odd"]
    assert await tagged(any=["nothing"]) == []
    assert await tagged(any=[]) == []
    assert await tagged(all="a") == ["a", "ab"]
    assert await tagged(all=["b", "a"]) == ["ab"]
    assert await tagged(all=["a", "A"]) == []
    assert await tagged(all=["100%", "it's", "$in"]) == ["odd"]
    assert await tagged(any=["a"], all=["b"]) == ["ab"]
    # all of no tags: what has none has them, too
    assert await tagged(all=[]) == ["a", "ab", "empty", "none", "odd"]
    assert await tagged() == ["a", "ab", "empty", "none", "odd"]
    assert await found(client, name, {"not": {"tags": {"any": "a"}}}) == ["empty", "none", "odd"]
    assert await found(client, name, {"not": {"tags": {"all": ["a", "b"]}}}) == ["a", "empty", "none", "odd"]
    assert await found(client, name, {"not": {"tags": {"all": []}}}) == []
    assert await found(client, name, {"not": {"tags": {"any": []}}}) == ["a", "ab", "empty", "none", "odd"]


@BOTH
async def test_times(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    for text, offset in (("a", -1), ("b", 0), ("c", 1)):
        moment = NOON + timedelta(milliseconds=offset)
        await create(stores, name, name=text, created_at=moment, updated_at=moment + timedelta(days=1))

    for field, day in (("createdAt", "2026-01-01"), ("updatedAt", "2026-01-02")):

        async def timed(field: str = field, **condition: str) -> list[str]:
            return await found(client, name, {field: condition})

        assert await timed(gt=f"{day}T12:00:00Z") == ["c"]
        assert await timed(gte=f"{day}T12:00:00Z") == ["b", "c"]
        assert await timed(lt=f"{day}T12:00:00Z") == ["a"]
        assert await timed(lte=f"{day}T12:00:00Z") == ["a", "b"]
        assert await timed(gte=f"{day}T14:00:00+02:00", lte=f"{day}T07:00:00-05:00") == ["b"]
        assert await timed(gte=f"{day}T12:00:00.001Z") == ["c"]
        # between the milliseconds that MongoDB keeps
        assert await timed(gt=f"{day}T12:00:00.000500Z") == ["c"]
        assert await timed(gte=f"{day}T12:00:00.000500Z") == ["c"]
        assert await timed(lt=f"{day}T12:00:00.000500Z") == ["a", "b"]
        assert await timed(lte=f"{day}T12:00:00.000500Z") == ["a", "b"]
        assert await timed(lt="9999-12-31T23:59:59.999999Z") == ["a", "b", "c"]
        assert await timed() == ["a", "b", "c"]


@BOTH
async def test_ids(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    a, b, _ = [await create(stores, name, name=text) for text in "abc"]

    assert await found(client, name, {"id": gid(a)}) == ["a"]
    assert await found(client, name, {"id": [gid(b), gid(a), gid(b)]}) == ["a", "b"]
    assert await found(client, name, {"id": []}) == []
    assert await found(client, name, {"id": None}) == ["a", "b", "c"]
    assert await found(client, name, {"not": {"id": gid(a)}}) == ["b", "c"]


@BOTH
async def test_and_or_not(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    for text in ("a", "ab", "abc", "c"):
        await create(stores, name, name=text)
    a, b, c = ({"name": {"contains": text}} for text in "abc")

    async def matching(**filter: Any) -> list[str]:
        return await found(client, name, filter)

    everything = ["a", "ab", "abc", "c"]
    assert await matching() == everything
    assert await matching(**{"and": []}) == everything
    assert await matching(**{"or": []}) == []
    assert await matching(**{"not": {}}) == []
    assert await matching(**{"and": [{}]}) == everything
    assert await matching(**{"or": [{}]}) == everything
    assert await matching(**{"and": None, "or": None, "not": None}) == everything
    assert await matching(**{"and": [a, b]}) == ["ab", "abc"]
    assert await matching(**{"and": a}) == ["a", "ab", "abc"]
    assert await matching(**{"or": [b, c]}) == ["ab", "abc", "c"]
    assert await matching(**{"or": b}) == ["ab", "abc"]
    assert await matching(**{"not": b}) == ["a", "c"]
    assert await matching(**{"not": {"not": b}}) == ["ab", "abc"]
    assert await matching(**{"not": {"and": []}}) == []
    assert await matching(**{"not": {"or": []}}) == everything
    assert await matching(**{"not": {"or": [b, c]}}) == ["a"]
    assert await matching(**{"not": {"and": [a, c]}}) == ["a", "ab", "c"]
    assert await matching(**a, **{"not": b}) == ["a"]
    assert await matching(**a, **{"and": [b], "or": [c, a], "not": c}) == ["ab"]
    assert await matching(**{"and": [{"or": [b, c]}, {"not": {"and": [b, c]}}]}) == ["ab", "c"]
    assert await matching(**{"or": [{"and": [a, {"not": b}]}, {"and": [c, {"not": a}]}]}) == ["a", "c"]


async def test_nulls_match_negations(client: httpx.AsyncClient, stores: Stores) -> None:
    await create_catalog_item(stores, name="top", category="top")
    await create_catalog_item(stores, name="dress", category="dress")
    await create_catalog_item(stores, name="none", category=None)
    top, dress = {"category": "TOP"}, {"category": "DRESS"}

    async def matching(filter: Any) -> list[str]:
        return await found(client, "catalogItems", filter)

    assert await matching(top) == ["top"]
    assert await matching({"category": ["TOP", "DRESS"]}) == ["dress", "top"]
    assert await matching({"category": []}) == []
    assert await matching({"not": top}) == ["dress", "none"]
    assert await matching({"not": {"not": top}}) == ["top"]
    assert await matching({"not": {"not": {"not": top}}}) == ["dress", "none"]
    assert await matching({"not": {"or": [top, dress]}}) == ["none"]
    assert await matching({"not": {"and": [top, dress]}}) == ["dress", "none", "top"]
    assert await matching({"not": {"and": [{"not": top}]}}) == ["top"]
    assert await matching({"not": {"category": []}}) == ["dress", "none", "top"]
    assert await matching({"and": [{"not": top}, {"not": dress}]}) == ["none"]


async def test_absent_fields_match_negations(client: httpx.AsyncClient, stores: Stores) -> None:
    avatar = await create_avatar(stores)
    await create_design(stores, name="worn", avatar_id=avatar.id)
    await create_design(stores, name="not worn")
    await insert_design(stores, name="old", avatarId=None)

    worn = {"avatar": gid(avatar)}

    assert await found(client, "designs", worn) == ["worn"]
    assert await found(client, "designs", {"not": worn}) == ["not worn", "old"]
    assert await found(client, "designs", {"not": {"not": worn}}) == ["worn"]
    assert await found(client, "designs", {"not": {"or": [worn, {"name": {"equals": "old"}}]}}) == ["not worn"]


async def test_users(client: httpx.AsyncClient, stores: Stores) -> None:
    root = await create_user(stores, email="Root@example.com", first_name="Root", last_name=None, role="admin")
    ada = await create_user(
        stores, email="ada@example.com", role="brand", email_verified=True, created_by=root.id, created_at=NOON
    )
    await create_user(
        stores, email="bob@example.org", first_name=None, last_name="Bell", is_active=False, created_by=ada.id
    )

    async def emails(**filter: Any) -> list[str]:
        return [email.partition("@")[0] for email in await found(client, "users", filter, "email")]

    assert await emails(role="BRAND") == ["ada"]
    assert await emails(role=["ADMIN", "USER"]) == ["Root", "bob"]
    assert await emails(role=["PREMIUM"]) == []
    assert await emails(isActive=True) == ["Root", "ada"]
    assert await emails(isActive=False) == ["bob"]
    assert await emails(emailVerified=True) == ["ada"]
    assert await emails(emailVerified=False) == ["Root", "bob"]
    assert await emails(email={"equals": "root@example.com"}) == []
    assert await emails(email={"startsWith": "root@"}) == ["Root"]
    assert await emails(email={"contains": ".ORG"}) == ["bob"]
    assert await emails(firstName={"equals": "Ada"}) == ["ada"]
    assert await emails(firstName={"contains": ""}) == ["Root", "ada"]
    assert await emails(lastName={"in": ["Lovelace", "Bell"]}) == ["ada", "bob"]
    assert await emails(**{"not": {"lastName": {"contains": "e"}}}) == ["Root"]
    assert await emails(**{"not": {"firstName": {"startsWith": "a"}}}) == ["Root", "bob"]
    assert await emails(createdBy=gid(root)) == ["ada"]
    assert await emails(createdBy=[gid(root), gid(ada)]) == ["ada", "bob"]
    assert await emails(**{"not": {"createdBy": gid(root)}}) == ["Root", "bob"]
    assert await emails(createdAt={"lte": NOON.isoformat()}) == ["ada"]
    assert await emails(updatedAt={"lte": NOON.isoformat()}) == []
    assert await emails(id=[gid(ada)]) == ["ada"]
    assert await emails(role=None, isActive=None, id=None, email=None) == ["Root", "ada", "bob"]


async def test_avatars(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, bob = await create_user(stores), await create_user(stores)
    await create_avatar(stores, name="a", user_id=ada.id, gender="female", is_default=True, created_at=NOON)
    b = await create_avatar(stores, name="b", user_id=ada.id, gender="male", updated_at=NOON)
    await create_avatar(stores, name="c", user_id=bob.id, is_default=True)

    async def names(**filter: Any) -> list[str]:
        return await found(client, "avatars", filter)

    assert await names(owner=gid(ada)) == ["a", "b"]
    assert await names(owner=[gid(ada), gid(bob)]) == ["a", "b", "c"]
    assert await names(owner=[]) == []
    assert await names(gender="FEMALE") == ["a"]
    assert await names(gender=["MALE", "UNISEX"]) == ["b", "c"]
    assert await names(isDefault=True) == ["a", "c"]
    assert await names(isDefault=False, owner=gid(bob)) == []
    assert await names(name={"in": ["a", "c"]}) == ["a", "c"]
    assert await names(createdAt={"lte": NOON.isoformat()}) == ["a"]
    assert await names(updatedAt={"lte": NOON.isoformat()}) == ["b"]
    assert await names(id=gid(b)) == ["b"]


async def test_catalog_items(client: httpx.AsyncClient, stores: Stores) -> None:
    brand = await create_user(stores, role="brand")
    await create_catalog_item(stores, name="a", type="fabric", price=100, is_premium=True)
    await create_catalog_item(stores, name="b", type="pattern", price=200, is_active=False, created_by=brand.id)
    await create_catalog_item(stores, name="c", type="silhouette", price=300)

    async def names(**filter: Any) -> list[str]:
        return await found(client, "catalogItems", filter)

    assert await names(type="FABRIC") == ["a"]
    assert await names(type=["PATTERN", "SILHOUETTE"]) == ["b", "c"]
    assert await names(price={"gt": 100}) == ["b", "c"]
    assert await names(price={"gte": 100}) == ["a", "b", "c"]
    assert await names(price={"lt": 300}) == ["a", "b"]
    assert await names(price={"lte": 100}) == ["a"]
    assert await names(price={"gt": 100, "lt": 300}) == ["b"]
    assert await names(price={"gte": 200, "lte": 200}) == ["b"]
    assert await names(price={}) == ["a", "b", "c"]
    assert await names(price={"gt": None}) == ["a", "b", "c"]
    assert await names(isPremium=True) == ["a"]
    assert await names(isPremium=False) == ["b", "c"]
    assert await names(isActive=False) == ["b"]
    assert await names(createdBy=gid(brand)) == ["b"]
    assert await names(**{"not": {"createdBy": gid(brand)}}) == ["a", "c"]
    assert await names(type="FABRIC", price={"gt": 100}) == []


async def test_designs(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, bob = await create_user(stores), await create_user(stores)
    avatar = await create_avatar(stores, user_id=ada.id)
    silk, wool = await create_catalog_item(stores), await create_catalog_item(stores)
    a = await create_design(
        stores, name="a", user_id=ada.id, avatar_id=avatar.id, layers=[layer_of(silk.id), layer_of(wool.id, id="2")]
    )
    await create_design(stores, name="b", user_id=ada.id, status="published", layers=[layer_of(wool.id)])
    await create_design(stores, name="c", user_id=bob.id, status="archived")

    async def names(**filter: Any) -> list[str]:
        return await found(client, "designs", filter)

    assert await names(owner=gid(ada)) == ["a", "b"]
    assert await names(owner=[gid(bob), gid(ada)]) == ["a", "b", "c"]
    assert await names(owner=[]) == []
    assert await names(avatar=[gid(avatar)]) == ["a"]
    assert await names(catalogItem=gid(silk)) == ["a"]
    assert await names(catalogItem=gid(wool)) == ["a", "b"]
    assert await names(catalogItem=[gid(wool), gid(silk)]) == ["a", "b"]
    assert await names(**{"and": [{"catalogItem": gid(wool)}, {"catalogItem": gid(silk)}]}) == ["a"]
    assert await names(**{"not": {"catalogItem": gid(silk)}}) == ["b", "c"]
    assert await names(status="DRAFT") == ["a"]
    assert await names(status=["DRAFT", "ARCHIVED"]) == ["a", "c"]
    assert await names(id=gid(a), status="PUBLISHED") == []
    assert await names(owner=gid(ada), status="PUBLISHED", catalogItem=gid(wool)) == ["b"]


async def test_filters_leave_out_what_is_deleted(client: httpx.AsyncClient, stores: Stores) -> None:
    owner = await create_user(stores, deleted_at=NOON)
    await create_avatar(stores, deleted_at=NOON, user_id=owner.id)
    await create_catalog_item(stores, deleted_at=NOON)
    await create_design(stores, deleted_at=NOON)
    late = {"createdAt": {"gt": NOON.isoformat()}}
    filters: list[Any] = [None, {}, {"not": {"id": []}}, {"or": [{}, {"id": []}]}, late]

    for name in LISTS:
        for filter in filters:
            assert await found(client, name, filter, "id") == []


async def test_nested_lists_take_the_same_filters(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, bob = await create_user(stores, last_name="A"), await create_user(stores, last_name="B")
    silk = await create_catalog_item(stores)
    for owner in (ada, bob):
        avatar = await create_avatar(stores, name="male", user_id=owner.id, gender="male")
        await create_avatar(stores, name="female", user_id=owner.id, gender="female")
        for name, status in (("one", "published"), ("two", "draft"), ("three", "published")):
            await create_design(
                stores,
                name=name,
                status=status,
                user_id=owner.id,
                avatar_id=avatar.id,
                metadata={"tags": [name]},
                layers=[layer_of(silk.id)],
            )

    data = await execute(
        client,
        """query ($silk: ID!) {
          users(first: 9, orderBy: {field: NAME}) { nodes {
            avatars(filter: {gender: FEMALE}) { nodes { name } totalCount }
            designs(filter: {status: PUBLISHED, tags: {any: ["two", "three"]}}) { nodes { name } totalCount }
            none: designs(filter: {not: {status: [DRAFT, PUBLISHED]}}) { nodes { name } totalCount }
          } }
          avatars(filter: {gender: MALE}) { nodes { designs(filter: {name: {contains: "t"}}, orderBy: {field: NAME}) {
            nodes { name } totalCount
          } } }
          catalogItem(id: $silk) { designs(filter: {or: [{status: DRAFT}]}) { nodes { name } totalCount } }
        }""",
        silk=gid(silk),
    )

    assert (
        data["users"]["nodes"]
        == [
            {
                "avatars": {"nodes": [{"name": "female"}], "totalCount": 1},
                "designs": {"nodes": [{"name": "three"}], "totalCount": 1},
                "none": {"nodes": [], "totalCount": 0},
            }
        ]
        * 2
    )
    assert [avatar["designs"] for avatar in data["avatars"]["nodes"]] == [
        {"nodes": [{"name": "three"}, {"name": "two"}], "totalCount": 2}
    ] * 2
    assert data["catalogItem"]["designs"] == {"nodes": [{"name": "two"}] * 2, "totalCount": 2}


async def test_references_to_nothing_find_nothing(client: httpx.AsyncClient, stores: Stores) -> None:
    await create_design(stores)
    await create_avatar(stores)
    nobody = encode_id("User", new_id())

    assert await found(client, "designs", {"owner": nobody}) == []
    assert await found(client, "avatars", {"owner": nobody}) == []
    assert await found(client, "designs", {"id": encode_id("Design", ObjectId())}) == []
