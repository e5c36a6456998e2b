"""Cursors that no page was given: malformed ones, those of another list, filter or order, and forged ones."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import orjson
import pytest
from bson import ObjectId

from api.stores.stores import Stores
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.factories.users import create_user
from tests.support.graphql import LISTS, execute, gid, page_query, respond
from tests.support.requests.bad_input import FOREIGN, NO_ID, NO_VALID_CURSOR, encoded, fill, refused

pytestmark = pytest.mark.anyio


MALFORMED_CURSORS = {
    "empty": "",
    "text": "nonsense",
    "not base64": "%%%%",
    "not ASCII": "Ü",
    "null byte": "\x00",
    "bytes": encoded(b"\xff\x00"),
    "no JSON": encoded("["),
    "number": encoded("1"),
    "null": encoded("null"),
    "numbers": encoded("[1, 2, 3]"),
    "object": encoded("{}"),
    "short": encoded('["a", "b"]'),
    "nested": encoded("[" * 700 + "]" * 700),
    "an id": encoded(f"User:{NO_ID}"),
    "overlong": encoded(orjson.dumps(["x", "y" * 10_000, str(NO_ID)])),
}


@pytest.mark.parametrize("cursor", MALFORMED_CURSORS.values(), ids=MALFORMED_CURSORS.keys())
async def test_malformed_cursors(client: httpx.AsyncClient, cursor: str) -> None:
    for name in LISTS:
        assert await refused(client, name, after=cursor) == NO_VALID_CURSOR
        assert await refused(client, name, before=cursor) == NO_VALID_CURSOR


async def cursor_of(client: httpx.AsyncClient, name: str, **variables: Any) -> str:
    """The cursor of the first object of a list."""
    cursor: str = (await execute(client, page_query(name), **variables))[name]["edges"][0]["cursor"]
    return cursor


async def test_cursors_of_another_list(client: httpx.AsyncClient, stores: Stores) -> None:
    cursors = {}
    for name in LISTS:
        await fill(stores, name)
        cursors[name] = await cursor_of(client, name)

    for name in LISTS:
        for other in LISTS:
            if other != name:
                assert await refused(client, name, after=cursors[other]) == FOREIGN


@pytest.mark.parametrize("name", LISTS)
async def test_cursors_of_another_filter_or_order(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    await fill(stores, name)
    text = "email" if name == "users" else "name"
    one, other = {"not": {text: {"equals": "x"}}}, {"not": {text: {"equals": "y"}}}
    by_name, by_name_down = ({"field": "NAME", "direction": direction} for direction in ("ASC", "DESC"))
    by_time = {"field": "CREATED_AT", "direction": "ASC"}
    by_change = {"field": "UPDATED_AT", "direction": "DESC"}

    plain = await cursor_of(client, name)
    named = await cursor_of(client, name, orderBy=by_name)

    assert await refused(client, name, after=plain, filter=one) == FOREIGN
    for order in (by_name, by_name_down, by_time, by_change):
        assert await refused(client, name, after=plain, orderBy=order) == FOREIGN
    for order in (by_name_down, by_time, by_change):
        assert await refused(client, name, before=named, orderBy=order) == FOREIGN
    assert await refused(client, name, before=named) == FOREIGN
    assert await refused(client, name, after=await cursor_of(client, name, filter=one), filter=other) == FOREIGN
    # the default, written out, is the same order
    newest = {"field": "CREATED_AT", "direction": "DESC"}
    page = (await execute(client, page_query(name), after=plain, orderBy=newest))[name]
    assert len(page["edges"]) == 2


ORDERS = {
    "users": ("CREATED_AT", "UPDATED_AT", "NAME", "EMAIL"),
    "avatars": ("CREATED_AT", "UPDATED_AT", "NAME"),
    "catalogItems": ("CREATED_AT", "UPDATED_AT", "NAME", "PRICE"),
    "designs": ("CREATED_AT", "UPDATED_AT", "PUBLISHED_AT", "NAME"),
}
FORGED_VALUES: tuple[Any, ...] = (
    *(True, 5, 1.5, -1, 2**31, -(2**31) - 1, 2**63, 1e300, "", "x", "a\x00b", "y" * 1000),
    *([], ["x"], {}, {"$ne": None}, {"$gt": ""}),
    *("2026-01-01T00:00:00", "2026-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "24:00"),
)
FORGED_KEYS: tuple[Any, ...] = (
    *(None, True, 5, "", "x", "a\x00b", [], ["x"] * 24, {}, {"$ne": None}),
    *(str(NO_ID) + "\x00", "z" * 24, "z" * 32),
)


def forged(cursor: str, **changes: Any) -> str:
    """The cursor with another value or key, and the fingerprint that it was made with."""
    fingerprint, value, key = orjson.loads(base64.urlsafe_b64decode(cursor))
    return base64.urlsafe_b64encode(
        orjson.dumps([fingerprint, changes.get("value", value), changes.get("key", key)])
    ).decode()


def fits(field: str, value: Any) -> bool:
    """Whether a forged value is one that a cursor of this order could hold."""
    if field in ("NAME", "EMAIL"):
        return isinstance(value, str) and "\x00" not in value
    return field == "PRICE" and type(value) is int and abs(value) < 2**31


@pytest.mark.parametrize("name", LISTS)
async def test_forged_cursor_values(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    await fill(stores, name, 1)
    for field in ORDERS[name]:
        order = {"field": field, "direction": "DESC"}
        cursor = await cursor_of(client, name, orderBy=order)
        for value in FORGED_VALUES:
            forgery = forged(cursor, value=value)
            if fits(field, value):
                await execute(client, page_query(name), after=forgery, orderBy=order)
            else:
                message = await refused(client, name, after=forgery, orderBy=order)
                assert message == NO_VALID_CURSOR, value
        # what has no value is paged, too, though no object of most lists is without
        await execute(client, page_query(name), after=forged(cursor, value=None), orderBy=order)
        await execute(client, page_query(name), before=forged(cursor, value=None), orderBy=order)


@pytest.mark.parametrize("name", LISTS)
async def test_forged_cursor_keys(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    await fill(stores, name, 1)
    cursor = await cursor_of(client, name)
    other_store = str(NO_ID) if name == "designs" else str(ObjectId())

    for key in (*FORGED_KEYS, other_store):
        forgery = forged(cursor, key=key)
        assert await refused(client, name, after=forgery) == NO_VALID_CURSOR, key


NESTED = {
    "User.avatars": "user",
    "User.designs": "user",
    "Avatar.designs": "avatar",
    "CatalogItem.designs": "catalogItem",
    "Design.revisions": "design",
}


async def parents(stores: Stores) -> dict[str, list[str]]:
    """Global ids of two parents of each kind of nested list; every list has three objects."""
    ids: dict[str, list[str]] = {kind: [] for kind in ("user", "avatar", "catalogItem", "design")}
    for _ in range(2):
        user, item = await create_user(stores), await create_catalog_item(stores)
        bodies = [await create_avatar(stores, user_id=user.id) for _ in range(3)]
        layers = [layer_of(item.id)]
        worn = {"user_id": user.id, "avatar_id": bodies[0].id, "layers": layers}
        made = [await create_design(stores, **worn) for _ in range(3)]
        await stores.database["designs"].update_one({"_id": made[0].id}, {"$set": {"version": 3}})
        kept = [{"designId": made[0].id, "version": version, "at": made[0].created_at} for version in (1, 2)]
        await stores.database["design_revisions"].insert_many(kept)
        for kind, parent in (("user", user), ("avatar", bodies[0]), ("catalogItem", item), ("design", made[0])):
            ids[kind].append(gid(parent))
    return ids


async def test_cursors_of_another_parent(client: httpx.AsyncClient, stores: Stores) -> None:
    ids = await parents(stores)
    lists = [(kind, path.partition(".")[2], id) for path, kind in NESTED.items() for id in ids[kind]]

    shown = "(first: $first, after: $after, last: $last, before: $before) { edges { cursor } }"
    nested = [f'l{n}: {kind}(id: "{id}") {{ {field}{shown} }}' for n, (kind, field, id) in enumerate(lists)]
    variables = "$first: Int, $after: String, $last: Int, $before: String"
    every = f"query ({variables}) {{ {' '.join(nested)} designs{shown} avatars{shown} }}"

    def edges(data: dict[str, Any], name: str) -> list[Any] | None:
        found = data[name] if name in ("designs", "avatars") else (data[name] or {}).get(lists[int(name[1:])][1])
        return None if found is None else found["edges"]

    first = await execute(client, every, first=1)
    cursors = {name: (edges(first, name) or [])[0]["cursor"] for name in first}

    assert len(cursors) == len(set(cursors.values())) == 12
    for mine, cursor in cursors.items():
        pages: list[tuple[dict[str, Any], int]] = [
            ({"first": 2, "after": cursor}, 2),
            ({"last": 2, "before": cursor}, 0),
        ]
        for arguments, rest in pages if mine in ("l2", "l9", "designs") else pages[:1]:
            body = await respond(client, every, **arguments)
            answered = {name: found for name in cursors if (found := edges(body["data"], name)) is not None}
            assert {name: len(found) for name, found in answered.items()} == {mine: rest}
            assert {(error["extensions"]["code"], error["message"]) for error in body["errors"]} == {
                ("BAD_CURSOR", FOREIGN)
            }
            assert {error["path"][0] for error in body["errors"]} == cursors.keys() - {mine}


@pytest.mark.parametrize("path", NESTED)
async def test_a_cursor_among_many_parents(client: httpx.AsyncClient, stores: Stores, path: str) -> None:
    kind, field = path.split(".")
    one, other = (await parents(stores))[NESTED[path]]
    query = f"""query ($ids: [ID!]!, $first: Int, $after: String) {{ nodes(ids: $ids) {{ ... on {kind} {{
        {field}(first: $first, after: $after) {{ edges {{ cursor }} totalCount }}
    }} }} }}"""
    [_, second] = (await execute(client, query, ids=[one, other], first=1))["nodes"]
    [cursor] = [edge["cursor"] for edge in second[field]["edges"]]

    body = await respond(client, query, ids=[other, one, other], first=5, after=cursor)

    # the parents whose cursor it is have their page, the others an error of their own
    first, foreign, again = body["data"]["nodes"]
    assert first == again
    assert (len(first[field]["edges"]), first[field]["totalCount"]) == (2, 3)
    assert not foreign or foreign[field] is None
    [error] = body["errors"]
    assert (error["message"], error["path"]) == (FOREIGN, ["nodes", 1, field])
