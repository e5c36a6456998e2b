"""Facets of what a search finds."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from api.search import facets as module
from api.stores.stores import Stores
from tests.search.following import copy_designs
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user
from tests.support.graphql import error_of, execute, sent
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

ITEMS: Final = """type { value count } category { value count } color { value count } material { value count }
    texture { value count } patternType { value count } tags { value count } isPremium { value count }
    price { min max histogram { from to count } }"""
FACETS: Final = f"""
    query ($text: String!, $types: [SearchType!], $filter: SearchFilter) {{
      search(query: $text, types: $types, filter: $filter) {{
        facets {{ catalogItems {{ {ITEMS} }} designs {{ status {{ value count }} tags {{ value count }} }} }}
      }}
    }}
"""

Counts = dict[str, Any]


async def facets(client: httpx.AsyncClient, query: str, filter: Any = None, **variables: Any) -> tuple[Any, Any]:
    """The facets of items and of designs, each as pairs of a value and its count."""
    found = (await execute(client, FACETS, text=query, filter=filter, **variables))["search"]["facets"]
    return pairs(found["catalogItems"]), pairs(found["designs"])


def pairs(found: Any) -> Counts | None:
    if found is None:
        return None
    return {
        name: [(each["value"], each["count"]) for each in value] if isinstance(value, list) else value
        for name, value in found.items()
    }


async def wardrobe(stores: Stores) -> None:
    for name, color, material, kind, price, premium in (
        ("Silk A", "red", "silk", "fabric", 100, True),
        ("Silk B", "red", "wool", "fabric", 250, False),
        ("Silk C", "navy", "silk", "pattern", 990, False),
        ("Felt", "red", "felt", "fabric", 5, False),
    ):
        properties = {"color": color, "material": material, "tags": [color, "all"]}
        values = {"name": name, "type": kind, "price": price, "is_premium": premium}
        await create_catalog_item(stores, **values, properties=properties)
    await create_catalog_item(stores, name="Silk inactive", is_active=False, properties={"color": "black"})


async def test_every_facet_of_items(client: httpx.AsyncClient, stores: Stores) -> None:
    await wardrobe(stores)
    items, designs = await facets(client, "silk")
    assert items.pop("price")["histogram"][0] == {"from": 100, "to": 149, "count": 1}
    assert items == {
        "type": [("FABRIC", 2), ("PATTERN", 1)],
        "category": [(None, 3)],
        "color": [("red", 2), ("navy", 1)],
        "material": [("silk", 2), ("wool", 1)],
        "texture": [(None, 3)],
        "patternType": [(None, 3)],
        "tags": [("all", 3), ("red", 2), ("navy", 1)],
        "isPremium": [(False, 2), (True, 1)],
    }
    assert designs == {"status": [], "tags": []}


async def test_a_facet_is_counted_without_its_own_filter(client: httpx.AsyncClient, stores: Stores) -> None:
    await wardrobe(stores)
    chosen = {"color": {"equals": "red"}, "material": {"in": ["silk"]}, "price": {"lte": 900}}
    items, _ = await facets(client, "silk", {"catalogItems": chosen})
    assert items["color"] == [("red", 1)]
    assert items["material"] == [("silk", 1), ("wool", 1)]
    assert items["type"] == [("FABRIC", 1)]
    assert (items["price"]["min"], items["price"]["max"]) == (100, 100)
    items, _ = await facets(client, "silk", {"catalogItems": {"color": {"equals": "red"}}})
    assert items["color"] == [("red", 2), ("navy", 1)]
    assert items["tags"] == [("all", 2), ("red", 2)]


async def test_facets_of_designs(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, account = await signed_in(client, stores)
    other = await create_user(stores)
    for owner, name, status, tags in (
        (account, "Silk", "draft", ["airy", "summer"]),
        (account, "Silk", "published", ["airy"]),
        (other, "Silk", "published", []),
        (other, "Silk", "draft", ["secret"]),
        (other, "Felt", "published", ["airy"]),
    ):
        await create_design(stores, user_id=owner.id, name=name, status=status, metadata={"tags": tags})
    await copy_designs(stores)
    assert await facets(ada, "silk", types=["DESIGN"]) == (
        None,
        {"status": [("PUBLISHED", 2), ("DRAFT", 1)], "tags": [("airy", 2), ("summer", 1)]},
    )
    _, designs = await facets(client, "silk")
    assert designs == {"status": [("PUBLISHED", 2)], "tags": [("airy", 1)]}
    _, designs = await facets(ada, "silk", {"designs": {"status": "DRAFT", "tags": {"any": ["airy"]}}})
    assert designs == {"status": [("DRAFT", 1), ("PUBLISHED", 1)], "tags": [("airy", 1), ("summer", 1)]}
    assert (await facets(client, "secret"))[1] == {"status": [], "tags": []}


async def test_a_status_that_there_is_not_is_not_counted(admin: httpx.AsyncClient, stores: Stores) -> None:
    for _ in range(3):
        await create_design(stores, name="Silk")
    await create_design(stores, name="Silk", status="published")
    await copy_designs(stores)
    async with stores.engine.begin() as connection:
        await connection.execute(text("UPDATE design.design_search SET status = 'odd' WHERE status = 'draft'"))
    query = '{ search(query: "silk") { facets { designs { status(first: 1) { value count } } } } }'
    found = await execute(admin, query)
    assert found["search"]["facets"]["designs"]["status"] == [{"value": "PUBLISHED", "count": 1}]


async def test_of_a_corrected_query_and_of_none(client: httpx.AsyncClient, stores: Stores) -> None:
    await wardrobe(stores)
    items, _ = await facets(client, "slik")
    assert items["type"] == [("FABRIC", 2), ("PATTERN", 1)]
    for query in ("👗", "-silk", "the", "xyzzy"):
        items, designs = await facets(client, query)
        assert items.pop("price") == {"min": None, "max": None, "histogram": []}
        assert {*map(tuple, items.values()), *map(tuple, designs.values())} == {()}
    assert await facets(client, "silk", types=[]) == (None, None)


async def test_no_more_are_counted_than_is_said(
    client: httpx.AsyncClient, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wardrobe(stores)
    monkeypatch.setattr(module, "COUNTED", 2)
    module._facets.cache_clear()
    try:
        items, _ = await facets(client, "silk")
    finally:
        module._facets.cache_clear()
    assert sum(count for _, count in items["type"]) == 2


async def test_one_statement_for_the_facets_of_a_type(
    client: httpx.AsyncClient, stores: Stores, app: Starlette
) -> None:
    await wardrobe(stores)
    with sent(app) as costs:
        await execute(client, FACETS, text="silk")
    # what is found, the facets of items, and those of designs
    assert (len(costs.sql), costs.mongo) == (3, 0)
    with sent(app) as costs:
        await execute(
            client, '{ search(query: "silk") { facets { catalogItems { type { count } color { count } } } } }'
        )
    assert (len(costs.sql), costs.mongo) == (2, 0)


async def test_bad_sizes(client: httpx.AsyncClient, stores: Stores) -> None:
    query = 'query ($first: Int) { search(query: "silk") { facets { designs { tags(first: $first) { count } } } } }'
    for first in (-1, 101):
        assert (await error_of(client, query, first=first))[0] == "BAD_USER_INPUT"
    assert (await execute(client, query, first=0))["search"]["facets"]["designs"]["tags"] == []
