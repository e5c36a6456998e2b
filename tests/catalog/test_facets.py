"""Facets of catalog items: their values with counts, over what a list shows."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from api.stores.stores import Stores
from tests.support.factories.catalog import create_catalog_item
from tests.support.graphql import error_of, execute, gid, sent
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

EVERY = """{
    type { value count } category { value count } color { value count } material { value count }
    texture { value count } patternType { value count } tags { value count } isPremium { value count }
    price { min max histogram { from to count } }
}"""
NAMES = ("type", "category", "color", "material", "texture", "patternType", "tags", "isPremium")


async def facets(client: httpx.AsyncClient, filter: Any = None, asked: str = EVERY) -> dict[str, Any]:
    """The facets of a list, each as pairs of a value and its count."""
    query = f"query ($filter: CatalogItemFilter) {{ catalogItems(filter: $filter) {{ facets {asked} }} }}"
    found = (await execute(client, query, filter=filter))["catalogItems"]["facets"]
    return {name: pairs(value) if isinstance(value, list) else value for name, value in found.items()}


def pairs(values: Any) -> list[tuple[Any, int]]:
    return [(each["value"], each["count"]) for each in values]


async def wardrobe(stores: Stores) -> None:
    for color, material, kind, category, price, premium in (
        ("red", "silk", "fabric", "dress", 100, True),
        ("red", "wool", "fabric", None, 250, False),
        ("blue", "silk", "pattern", "dress", 990, False),
        (None, "silk", "pattern", None, 0, False),
    ):
        properties = {"color": color, "material": material, "tags": [f"{color}", "all"]}
        values = {"type": kind, "category": category, "price": price, "is_premium": premium}
        await create_catalog_item(stores, **values, properties=properties)
    await create_catalog_item(stores, name="inactive", is_active=False, price=5000, properties={"color": "black"})


async def test_every_facet(client: httpx.AsyncClient, stores: Stores) -> None:
    await wardrobe(stores)

    assert await facets(client) == {
        "type": [("FABRIC", 2), ("PATTERN", 2)],
        "category": [(None, 2), ("DRESS", 2)],
        "color": [("red", 2), (None, 1), ("blue", 1)],
        "material": [("silk", 3), ("wool", 1)],
        "texture": [(None, 4)],
        "patternType": [(None, 4)],
        "tags": [("all", 4), ("red", 2), ("None", 1), ("blue", 1)],
        "isPremium": [(False, 3), (True, 1)],
        "price": {
            "min": 0,
            "max": 990,
            "histogram": [
                {"from": place * 50, "to": place * 50 + 49, "count": {0: 1, 2: 1, 5: 1, 19: 1}.get(place, 0)}
                for place in range(20)
            ],
        },
    }


async def test_of_an_empty_list(client: httpx.AsyncClient, stores: Stores) -> None:
    nothing: dict[str, Any] = {"min": None, "max": None, "histogram": []}

    assert await facets(client) == {name: [] for name in NAMES} | {"price": nothing}


async def test_a_facet_is_counted_without_its_own_filter_and_with_all_others(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    await wardrobe(stores)
    red, silk = {"color": {"equals": "red"}}, {"material": {"in": ["silk"]}}
    every = [("red", 2), (None, 1), ("blue", 1)]

    assert (await facets(client, red))["color"] == every
    assert (await facets(client, red))["material"] == [("silk", 1), ("wool", 1)]
    alike: tuple[Any, ...] = (red | silk, {"and": [red, silk]}, {**silk, "and": [{"and": [red]}]})
    for filter in alike:
        both = await facets(client, filter)
        assert both["color"] == [(None, 1), ("blue", 1), ("red", 1)]
        assert both["material"] == [("silk", 1), ("wool", 1)]
        assert both["type"] == [("FABRIC", 1)]
        assert (both["price"]["min"], both["price"]["max"]) == (100, 100)
        assert both["tags"] == [("all", 1), ("red", 1)]
    # several conditions on one field, and such that name it alone inside `or` and `not`
    alone: tuple[Any, ...] = (
        {"color": {"startsWith": "r", "contains": "e"}},
        {"or": [red, {"hasColor": False}]},
        {"not": red},
        {"hasColor": True},
    )
    for filter in alone:
        assert (await facets(client, filter))["color"] == every
    # an `or` of two fields belongs to neither
    either = await facets(client, {"or": [{"color": {"equals": "blue"}}, {"material": {"equals": "wool"}}]})
    assert either["color"] == [("blue", 1), ("red", 1)]
    assert either["material"] == [("silk", 1), ("wool", 1)]


async def test_own_filters_of_every_field(client: httpx.AsyncClient, stores: Stores) -> None:
    await wardrobe(stores)
    whole = await facets(client)

    for name, filter in {
        "type": {"type": "PATTERN"},
        "category": {"category": ["TOP"]},
        "material": {"material": {"equals": "wool"}},
        "texture": {"hasTexture": True},
        "patternType": {"patternType": {"contains": "x"}},
        "tags": {"tags": {"all": ["red"]}},
        "isPremium": {"isPremium": True},
        "price": {"price": {"gte": 200, "lt": 300}},
    }.items():
        found = await facets(client, filter)
        assert found[name] == whole[name]
        assert found["color"] != whole["color"]
        values = "min max histogram { from to count }" if name == "price" else "value count"
        assert await facets(client, filter, f"{{ {name} {{ {values} }} }}") == {name: whole[name]}


async def test_the_most_frequent_values_in_a_certain_order(client: httpx.AsyncClient, stores: Stores) -> None:
    for color in ("b", "b", "c", "A", "é", "z", None, "a", "c", "ß", "10", "9"):
        await create_catalog_item(stores, properties={"color": color})
    order = [("b", 2), ("c", 2), (None, 1), ("10", 1), ("9", 1), ("A", 1), ("a", 1), ("z", 1), ("ß", 1), ("é", 1)]

    assert (await facets(client, None, "{ color { value count } }"))["color"] == order
    for size in (0, 1, 3, 9, 10, 100):
        assert (await facets(client, None, f"{{ color(first: {size}) {{ value count }} }}"))["color"] == order[:size]
    two = await facets(client, None, "{ a: color(first: 1) { value count } b: color(first: 4) { value count } }")
    assert (two["a"], two["b"]) == (order[:1], order[:4])
    for size in (-1, 101):
        code, message = await error_of(
            client, f"{{ catalogItems {{ facets {{ color(first: {size}) {{ count }} }} }} }}"
        )
        assert (code, message) == ("BAD_USER_INPUT", "first must lie between 0 and 100.")


async def test_twenty_values_where_nothing_is_said(client: httpx.AsyncClient, stores: Stores) -> None:
    for number in range(21):
        await create_catalog_item(stores, properties={"tags": [f"tag {number:02}"]})

    found = await facets(client, None, "{ tags { value count } }")

    assert found["tags"] == [(f"tag {number:02}", 1) for number in range(20)]


@pytest.mark.parametrize(
    ("prices", "widths"),
    [
        ([7], (7, 7)),
        ([0, 19], (0, 0)),
        ([0, 20], (0, 1)),
        ([0, 39], (0, 1)),
        ([0, 40], (0, 4)),
        ([990, 1010], (990, 991)),
        ([0, 2**31 - 1], (0, 199_999_999)),
        ([2**31 - 2, 2**31 - 1], (2**31 - 2, 2**31 - 2)),
    ],
)
async def test_the_bounds_of_a_histogram(
    client: httpx.AsyncClient, stores: Stores, prices: list[int], widths: tuple[int, int]
) -> None:
    for price in prices:
        await create_catalog_item(stores, price=price)

    price = (await facets(client, None, "{ price { min max histogram { from to count } } }"))["price"]

    buckets = price["histogram"]
    assert (price["min"], price["max"]) == (min(prices), max(prices))
    assert (buckets[0]["from"], buckets[0]["to"]) == widths
    assert buckets[0]["count"] == buckets[-1]["count"] == 1
    assert buckets[-1]["from"] <= max(prices) <= buckets[-1]["to"] < 2**31
    assert sum(bucket["count"] for bucket in buckets) == len(prices)
    assert 1 <= len(buckets) <= 20
    assert all(later["from"] == bucket["to"] + 1 for bucket, later in pairwise(buckets))


@pytest.mark.parametrize("kind", ["number", "list", "text"])
async def test_properties_that_are_no_object_read_as_nothing(
    client: httpx.AsyncClient, stores: Stores, kind: str
) -> None:
    """Rows may be older than the rule that they are one."""
    item = await create_catalog_item(stores, type="fabric")
    value = {"number": 5, "list": [{"color": "red", "tags": ["a"]}], "text": "color"}[kind]
    async with stores.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE catalog.catalog_items DROP CONSTRAINT chk_catalog_items_properties"))
        await put(connection, item.id, value)
    try:
        found = await facets(client)
    finally:
        async with stores.engine.begin() as connection:
            await connection.execute(text("DELETE FROM catalog.catalog_items"))
            await connection.execute(
                text(
                    "ALTER TABLE catalog.catalog_items ADD CONSTRAINT chk_catalog_items_properties "
                    "CHECK (jsonb_typeof(properties) = 'object')"
                )
            )

    assert found["color"] == found["material"] == found["texture"] == found["patternType"] == [(None, 1)]
    assert (found["tags"], found["type"]) == ([], [("FABRIC", 1)])


async def test_odd_values_read_as_nothing(client: httpx.AsyncClient, stores: Stores) -> None:
    odd: tuple[Any, ...] = (5, True, {}, [], ["red"], None)
    for value in odd:
        item = await create_catalog_item(stores)
        async with stores.engine.begin() as connection:
            await put(connection, item.id, {"color": value, "tags": value})
    item = await create_catalog_item(stores)
    async with stores.engine.begin() as connection:
        await put(
            connection, item.id, {"tags": [1, None, "red", "red", {}, ["blue"], "", "x" * 300], "color": "x" * 300}
        )

    found = await facets(client)

    assert found["color"] == [(None, len(odd)), ("x" * 255, 1)]
    assert found["tags"] == [("red", 2), ("", 1), ("x" * 255, 1)]


async def put(connection: Any, id: Any, properties: Any) -> None:
    change = text("UPDATE catalog.catalog_items SET properties = CAST(:value AS jsonb) WHERE id = :id")
    await connection.execute(change, {"value": json.dumps(properties), "id": id})


async def test_nobody_counts_what_they_may_not_see(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, stores: Stores
) -> None:
    brand, account = await signed_in(client, stores, "brand")
    other, _ = await signed_in(client, stores, "brand")
    await create_catalog_item(stores, properties={"color": "open"})
    await create_catalog_item(stores, is_active=False, created_by=account.id, properties={"color": "hidden"}, price=7)
    asked = "{ color { value count } price { max } }"
    open_only = {"color": [("open", 1)], "price": {"max": 0}}
    every = {"color": [("hidden", 1), ("open", 1)], "price": {"max": 7}}

    for filter in (None, {"color": {"equals": "hidden"}}, {"price": {"gte": 7}}, {"isActive": False}):
        for viewer in (client, other):
            found = await facets(viewer, filter, asked)
            assert "hidden" not in dict(found["color"])
            assert found["price"]["max"] in (0, None)
    for viewer in (client, other):
        assert await facets(viewer, None, asked) == open_only
    for viewer in (brand, admin):
        assert await facets(viewer, None, asked) == every
    own = {"createdBy": gid(account)}
    assert await facets(other, own, asked) == {"color": [], "price": {"max": None}}
    assert await facets(brand, own, asked) == {"color": [("hidden", 1)], "price": {"max": 7}}


async def test_deleted_items_are_counted_for_those_who_ask_for_them(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, stores: Stores
) -> None:
    await create_catalog_item(stores, properties={"color": "live"})
    gone = await create_catalog_item(stores, properties={"color": "gone"})
    async with stores.engine.begin() as connection:
        change = "UPDATE catalog.catalog_items SET deleted_at = now() WHERE id = :id"
        await connection.execute(text(change), {"id": gone.id})

    asked = "{ color { value count } }"
    assert await facets(admin, None, asked) == {"color": [("live", 1)]}
    assert await facets(admin, {"deleted": True}, asked) == {"color": [("gone", 1)]}
    query = "{ catalogItems(filter: {deleted: true}) { facets { color { value } } } }"
    assert (await error_of(client, query))[0] == "UNAUTHENTICATED"


async def test_all_facets_are_one_statement_and_only_those_asked_for(
    app: Starlette, client: httpx.AsyncClient, stores: Stores
) -> None:
    await wardrobe(stores)

    with sent(app) as costs:
        await execute(client, f"{{ catalogItems(first: 1) {{ nodes {{ name }} totalCount facets {EVERY} }} }}")
    assert (len(costs.sql), costs.mongo) == (3, 0)
    with sent(app) as costs:
        await execute(client, "{ catalogItems { facets { color { count } } } }")
    (statement,) = costs.sql
    assert "color" in statement
    assert not any(name in statement for name in ("material", "tags", "price", "category"))
    with sent(app) as costs:
        await execute(client, "{ catalogItems { facets { price { min max } } } }")
    (statement,) = costs.sql
    assert "floor" not in statement
    for nothing in ("{ color(first: 0) { value } }", "{ __typename }"):
        with sent(app) as costs:
            await execute(client, f"{{ catalogItems(first: 0) {{ facets {nothing} }} }}")
        assert costs.sql == []


async def test_two_lists_in_one_operation_have_their_own_facets(
    app: Starlette, client: httpx.AsyncClient, stores: Stores
) -> None:
    await wardrobe(stores)
    query = """{
        reds: catalogItems(filter: {color: {equals: "red"}}) { facets { material { value count } } }
        blues: catalogItems(filter: {color: {equals: "blue"}}) { ...both }
    }
    fragment both on CatalogItemConnection {
        facets { material { value count } }
        facets { color(first: 1) { value } }
    }"""

    with sent(app) as costs:
        data = await execute(client, query)

    assert pairs(data["reds"]["facets"]["material"]) == [("silk", 1), ("wool", 1)]
    assert data["blues"]["facets"] == {"material": [{"value": "silk", "count": 1}], "color": [{"value": "red"}]}
    assert len(costs.sql) == 2
