"""Pages put together are the whole list, in every order, both ways, with ties and nulls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from api.ids import encode_id
from api.stores.stores import Stores
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, insert_design, layer_of
from tests.support.factories.users import create_user
from tests.support.graphql import LISTS, PAGE, PAGE_ARGUMENTS, execute, gid, page_query, page_variables

pytestmark = pytest.mark.anyio


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SIZES = (1, 2, 3, 7)
DIRECTIONS = ("ASC", "DESC")

# what the nine objects of a list have: ties everywhere, and orders that differ
CREATED = [NOON + timedelta(hours=hour) for hour in (2, 0, 1, 1, 2, 0, 2, 3, 1)]
UPDATED = [NOON + timedelta(milliseconds=step) for step in (5, 5, 5, 5, 1, 2, 1, 2, 9)]
NAMES = ["d", "b", "b", "a", "c", "b", "a", "d", "e"]
NAMES_OR_NONE = ["d", None, "b", "a", None, "b", "a", None, "d"]
PUBLISHED = [None, *(NOON + timedelta(milliseconds=step) for step in (3, 1, 1)), None, NOON, NOON, None, NOON]
PRICES = [300, 0, 0, 100, 300, 0, 2**31 - 1, 100, 50]

Row = tuple[str, Any, Any]
"""Global id, key, and the value that the list is ordered by."""


async def nine(stores: Stores, name: str, field: str) -> list[Row]:
    """Nine objects of a list, with the values of the order field."""
    rows: list[Row] = []
    owner = await create_user(stores, created_at=NOON, email="owner@example.com") if name == "avatars" else None
    for index in range(9):
        times = {"created_at": CREATED[index], "updated_at": UPDATED[index]}
        match name:
            case "users":
                email = f"{'ihgfedcba'[index]}@example.com"
                stored: Any = await create_user(stores, **times, last_name=NAMES_OR_NONE[index], email=email)
            case "avatars":
                assert owner is not None
                stored = await create_avatar(stores, **times, name=NAMES[index], user_id=owner.id)
            case "catalogItems":
                stored = await create_catalog_item(stores, **times, name=NAMES[index], price=PRICES[index])
            case _:
                stored = await create_design(stores, **times, name=NAMES[index], published_at=PUBLISHED[index])
        attribute = "last_name" if (name, field) == ("users", "NAME") else field.lower()
        rows.append((gid(stored), stored.id, getattr(stored, attribute)))
    return rows


def in_order(rows: list[Row], direction: str, *, nulls_largest: bool = True) -> list[str]:
    """The ids as the list must have them: by value, then by key, in the same direction."""

    def key(row: Row) -> tuple[Any, ...]:
        _, id, value = row
        null = value is None
        return (null if nulls_largest else not null, *(() if null else (value,)), id)

    return [row[0] for row in sorted(rows, key=key, reverse=direction == "DESC")]


Fetch = Callable[..., Awaitable[dict[str, Any]]]


async def walk(fetch: Fetch, size: int, *, backwards: bool, pages: int) -> list[str]:
    """The ids of all pages put together, in the list's order. Checks what each page says about its neighbours."""
    ids: list[str] = []
    cursor: str | None = None
    for number in range(max(pages, 1)):
        page = await fetch(last=size, before=cursor) if backwards else await fetch(first=size, after=cursor)
        found, info = [edge["node"]["id"] for edge in page["edges"]], page["pageInfo"]
        ids = found + ids if backwards else ids + found
        beyond, behind = number < pages - 1, number > 0
        assert (info["hasPreviousPage"], info["hasNextPage"]) == ((beyond, behind) if backwards else (behind, beyond))
        assert info["startCursor"] == (page["edges"][0]["cursor"] if found else None)
        assert info["endCursor"] == (page["edges"][-1]["cursor"] if found else None)
        cursor = info["startCursor"] if backwards else info["endCursor"]
    return ids


async def assert_pages(fetch: Fetch, expected: list[str]) -> None:
    """Every size, both ways; short lists need only one."""
    for size in SIZES if len(expected) > 2 else SIZES[:1]:
        pages = -(-len(expected) // size)
        assert await walk(fetch, size, backwards=False, pages=pages) == expected
        assert await walk(fetch, size, backwards=True, pages=pages) == expected


def root_list(client: httpx.AsyncClient, name: str, **fixed: Any) -> Fetch:
    async def fetch(**variables: Any) -> dict[str, Any]:
        page: dict[str, Any] = (await execute(client, page_query(name), **fixed, **variables))[name]
        return page

    return fetch


ORDERS = [
    *(("users", field) for field in ("CREATED_AT", "UPDATED_AT", "NAME", "EMAIL")),
    *(("avatars", field) for field in ("CREATED_AT", "UPDATED_AT", "NAME")),
    *(("catalogItems", field) for field in ("CREATED_AT", "UPDATED_AT", "NAME", "PRICE")),
    *(("designs", field) for field in ("CREATED_AT", "UPDATED_AT", "PUBLISHED_AT", "NAME")),
]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("name", "field"), ORDERS)
async def test_pages_put_together_are_the_list(
    client: httpx.AsyncClient, stores: Stores, name: str, field: str, direction: str
) -> None:
    rows = await nine(stores, name, field)

    fetch = root_list(client, name, orderBy={"field": field, "direction": direction})

    await assert_pages(fetch, in_order(rows, direction, nulls_largest=name != "designs"))


async def test_every_order_field_is_paged_here(client: httpx.AsyncClient) -> None:
    query = "{ __schema { types { name enumValues { name } } } }"

    types = (await execute(client, query))["__schema"]["types"]

    declared = {
        (kind["name"].removesuffix("OrderField"), value["name"])
        for kind in types
        if kind["name"].endswith("OrderField")
        for value in kind["enumValues"]
    }
    paged = {({"catalogItems": "CatalogItem"}.get(name, name[:-1].title()), field) for name, field in ORDERS}
    assert paged == declared


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_pages_of_old_designs_without_a_value(client: httpx.AsyncClient, stores: Stores, direction: str) -> None:
    rows: list[Row] = []
    for design in ({"name": None}, {"name": "b"}, {}, {"name": "a"}, {"name": None}, {"name": "b"}):
        id = await insert_design(stores, **design)
        if not design:
            await stores.database["designs"].update_one(
                {"_id": id}, {"$unset": {"name": ""}}, bypass_document_validation=True
            )
        rows.append((encode_id("Design", id), id, design.get("name")))

    fetch = root_list(client, "designs", orderBy={"field": "NAME", "direction": direction})

    await assert_pages(fetch, in_order(rows, direction, nulls_largest=False))


@pytest.mark.parametrize("name", LISTS)
async def test_the_newest_come_first(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    rows = await nine(stores, name, "CREATED_AT")

    assert await walk(root_list(client, name), 5, backwards=False, pages=2) == in_order(rows, "DESC")


@pytest.mark.parametrize("name", LISTS)
async def test_pages_of_a_filtered_list(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    rows = await nine(stores, name, "CREATED_AT")
    late = [row for row in rows if row[2] > NOON]
    filter = {"createdAt": {"gt": NOON.isoformat()}}

    fetch = root_list(client, name, filter=filter, orderBy={"field": "NAME"})
    ids = await walk(fetch, 2, backwards=False, pages=4)
    page = await fetch(first=1)

    assert sorted(ids) == sorted(row[0] for row in late)
    assert page["totalCount"] == 7


async def test_pages_selected_through_fragments(client: httpx.AsyncClient, stores: Stores) -> None:
    expected = in_order(await nine(stores, "users", "EMAIL"), "ASC")

    data = await execute(
        client,
        """
        { a: users(orderBy: {field: EMAIL}, first: 2) { ...Counted ...Outer }
          b: users(orderBy: {field: EMAIL}, first: 1) { ... { ... on UserConnection { nodes { id } } } }
          c: users(first: 3) { ...Counted ...Counted ... @include(if: true) { totalCount } } }
        fragment Counted on UserConnection { totalCount }
        fragment Outer on UserConnection { ...Counted ...Inner ...Inner }
        fragment Inner on UserConnection { edges { node { ... on Node { id } } } pageInfo { hasNextPage } }
        """,
    )

    assert data == {
        "a": {
            "totalCount": 9,
            "edges": [{"node": {"id": id}} for id in expected[:2]],
            "pageInfo": {"hasNextPage": True},
        },
        "b": {"nodes": [{"id": expected[0]}]},
        "c": {"totalCount": 9},
    }


@pytest.mark.parametrize("name", LISTS)
async def test_between_two_cursors(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    rows = await nine(stores, name, "NAME")
    expected = in_order(rows, "ASC")
    fetch = root_list(client, name, orderBy={"field": "NAME"})
    cursors = [edge["cursor"] for edge in (await fetch())["edges"]]

    async def between(**variables: Any) -> tuple[list[str], bool, bool]:
        page = await fetch(after=cursors[1], before=cursors[6], **variables)
        info = page["pageInfo"]
        assert page["totalCount"] == 9
        return [edge["node"]["id"] for edge in page["edges"]], info["hasPreviousPage"], info["hasNextPage"]

    assert await between() == (expected[2:6], True, True)
    assert await between(first=2) == (expected[2:4], True, True)
    assert await between(last=2) == (expected[4:6], True, True)
    assert await between(first=4) == (expected[2:6], True, True)
    assert await between(last=4) == (expected[2:6], True, True)
    assert await between(first=0) == ([], True, True)


@pytest.mark.parametrize("name", LISTS)
async def test_sizes(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    fetch = root_list(client, name)
    nothing = {"hasPreviousPage": False, "hasNextPage": False, "startCursor": None, "endCursor": None}
    assert await fetch() == {"edges": [], "pageInfo": nothing, "totalCount": 0}
    assert await fetch(first=0) == {"edges": [], "pageInfo": nothing, "totalCount": 0}
    await nine(stores, name, "NAME")

    assert await fetch(first=0) == {"edges": [], "pageInfo": nothing | {"hasNextPage": True}, "totalCount": 9}
    assert await fetch(last=0) == {"edges": [], "pageInfo": nothing | {"hasPreviousPage": True}, "totalCount": 9}
    assert len((await fetch(first=8))["edges"]) == 8
    for whole in ({"first": 9}, {"last": 9}, {"first": 100}, {"last": 100}, {}):
        page = await fetch(**whole)
        info = page["pageInfo"]
        assert (len(page["edges"]), info["hasPreviousPage"], info["hasNextPage"]) == (9, False, False)


async def test_twenty_where_no_size_is_given(client: httpx.AsyncClient, stores: Stores) -> None:
    for _ in range(21):
        await create_catalog_item(stores)
        await create_design(stores)

    for name in ("catalogItems", "designs"):
        page = await root_list(client, name)()
        assert (len(page["edges"]), page["pageInfo"]["hasNextPage"], page["totalCount"]) == (20, True, 21)


async def test_a_cursor_outlives_its_object(client: httpx.AsyncClient, stores: Stores) -> None:
    created = [await create_design(stores, name=name) for name in "abc"]
    fetch = root_list(client, "designs", orderBy={"field": "NAME"})
    cursor = (await fetch(first=2))["pageInfo"]["endCursor"]
    await stores.database["designs"].delete_one({"_id": created[1].id})

    page = await fetch(after=cursor)

    assert [edge["node"]["id"] for edge in page["edges"]] == [gid(created[2])]


async def test_long_names_make_cursors_that_work(client: httpx.AsyncClient, stores: Stores) -> None:
    rows: list[Row] = []
    for text in ("\x01" * 255, "\U0001f9e5" * 255, '"' * 255, "ü" * 255):
        stored = await create_catalog_item(stores, name=text)
        rows.append((gid(stored), stored.id, text))
        await create_design(stores, name=text)

    for name in ("catalogItems", "designs"):
        ids = await walk(root_list(client, name, orderBy={"field": "NAME"}), 1, backwards=False, pages=4)
        assert len(set(ids)) == 4


NESTED = {
    "User.avatars": ("user", "avatars", "Avatar"),
    "User.designs": ("user", "designs", "Design"),
    "Avatar.designs": ("avatar", "designs", "Design"),
    "CatalogItem.designs": ("catalogItem", "designs", "Design"),
}


async def family(stores: Stores, path: str) -> dict[str, list[Row]]:
    """Three parents and their children, by the parent's global id: nine (by name), two, none."""
    parents: list[Any] = []
    owner = await create_user(stores)
    for _ in range(3):
        match path.partition(".")[0]:
            case "User":
                parents.append(await create_user(stores))
            case "Avatar":
                parents.append(await create_avatar(stores, user_id=owner.id))
            case _:
                parents.append(await create_catalog_item(stores))
    children: dict[str, list[Row]] = {gid(parent): [] for parent in parents}
    for index, name in enumerate(NAMES):
        for parent in parents[: 2 if index < 2 else 1]:
            match path:
                case "User.avatars":
                    stored: Any = await create_avatar(stores, name=name, user_id=parent.id)
                case "User.designs":
                    stored = await create_design(stores, name=name, user_id=parent.id)
                case "Avatar.designs":
                    stored = await create_design(stores, name=name, avatar_id=parent.id)
                case _:
                    stored = await create_design(
                        stores, name=name, layers=[layer_of(parent.id, id="1"), layer_of(parent.id, id="2")]
                    )
            children[gid(parent)].append((gid(stored), stored.id, name))
    return children


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("path", NESTED)
async def test_nested_pages_put_together_are_the_list(
    client: httpx.AsyncClient, stores: Stores, path: str, direction: str
) -> None:
    root, field, kind = NESTED[path]
    query = f"""query ($id: ID!, {page_variables(kind)}) {{
        {root}(id: $id) {{ {field}({PAGE_ARGUMENTS}) {{ {PAGE} totalCount }} }}
    }}"""

    for parent, rows in (await family(stores, path)).items():

        async def fetch(parent: str = parent, **variables: Any) -> dict[str, Any]:
            order = {"field": "NAME", "direction": direction}
            data = await execute(client, query, id=parent, orderBy=order, **variables)
            page: dict[str, Any] = data[root][field]
            return page

        await assert_pages(fetch, in_order(rows, direction))
        assert (await fetch(first=0))["totalCount"] == len(rows)


@pytest.mark.parametrize("path", NESTED)
async def test_the_same_page_of_many_parents(client: httpx.AsyncClient, stores: Stores, path: str) -> None:
    _, field, kind = NESTED[path]
    children = await family(stores, path)
    query = f"""query ($ids: [ID!]!, {page_variables(kind)}) {{
        nodes(ids: $ids) {{ ... on {path.partition(".")[0]} {{ {field}({PAGE_ARGUMENTS}) {{ {PAGE} totalCount }} }} }}
    }}"""
    order = {"field": "NAME", "direction": "ASC"}
    expected = [in_order(rows, "ASC") for rows in children.values()]

    async def pages(**variables: Any) -> list[dict[str, Any]]:
        nodes = (await execute(client, query, ids=list(children), orderBy=order, **variables))["nodes"]
        return [node[field] for node in nodes]

    first, backwards = await pages(first=3), await pages(last=3)
    assert [[edge["node"]["id"] for edge in page["edges"]] for page in first] == [ids[:3] for ids in expected]
    assert [[edge["node"]["id"] for edge in page["edges"]] for page in backwards] == [ids[-3:] for ids in expected]
    assert [page["pageInfo"]["hasNextPage"] for page in first] == [True, False, False]
    assert [page["pageInfo"]["hasPreviousPage"] for page in backwards] == [True, False, False]
    assert [page["totalCount"] for page in first] == [9, 2, 0]
