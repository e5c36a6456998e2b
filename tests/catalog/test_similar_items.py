"""Similar catalog items, as clients ask for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import pytest
from starlette.applications import Starlette

from api.catalog.finding_store import MOST_OF_VALUE, RARE
from api.catalog.similar import MOST_COLOURS, MOST_TAGS, sources_of
from api.catalog.traits import traits_of
from api.similarity.traits import Traits
from api.stores.stores import Stores
from documents.base import utc_now
from models import CatalogItem
from tests.support.factories.catalog import create_catalog_item
from tests.support.graphql import error_of, execute, gid, sent
from tests.support.signing_in import signed_in

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
QUERY: Final = """
    query ($id: ID!, $first: Int) {
      catalogItem(id: $id) {
        similar(first: $first) { item { name } score reasons { kind weight closeness score values } }
      }
    }"""
PAGE: Final = (
    "query ($first: Int) { catalogItems(first: $first) { nodes { similar(first: 3) { item { name } score } } } }"
)
LINEN: Final = {"color": "navy", "material": "linen", "tags": ["summer", "linen"]}


async def make(stores: Stores, name: str, properties: Any = LINEN, **values: Any) -> CatalogItem:
    defaults = {"name": name, "type": "fabric", "category": "dress", "properties": properties}
    return await create_catalog_item(stores, **defaults | values)


async def similar(client: httpx.AsyncClient, item: CatalogItem, first: int | None = None) -> list[str]:
    """The names of the similar items."""
    found = await execute(client, QUERY, id=gid(item), first=first)
    return [each["item"]["name"] for each in found["catalogItem"]["similar"]]


def test_odd_values_are_no_traits() -> None:
    odd = {"color": 7, "material": ["linen"], "tags": "summer"}

    assert traits_of("fabric", None, odd) == Traits(types=frozenset(("fabric",)))
    assert traits_of("fabric", "dress", "none") == Traits(
        types=frozenset(("fabric",)), categories=frozenset(("dress",))
    )


def test_candidates_are_sought_by_tags_material_colours_and_category() -> None:
    sources = list(sources_of(traits_of("fabric", "dress", LINEN)))

    assert sources[:4] == [("tag", "linen"), ("tag", "summer"), ("material", "linen"), ("color", "navy")]
    assert [source for source in sources if source[0] == "color"] == [
        ("color", "navy"), ("color", "midnight blue"), ("color", "indigo"),
    ]  # fmt: skip
    assert sources[-1] == ("category", "dress")
    assert list(sources_of(traits_of("fabric", None, {}))) == [("type", "fabric")]
    many = traits_of("fabric", None, {"tags": [str(number) for number in range(20)]})
    assert len([source for source in sources_of(many) if source[0] == "tag"]) == MOST_TAGS
    assert MOST_COLOURS == 4


@pytest.mark.anyio
async def test_similar_items_come_with_their_reasons(client: httpx.AsyncClient, stores: Stores) -> None:
    item = await make(stores, "itself")
    await make(stores, "same")
    await make(stores, "other cloth", LINEN | {"material": "cotton", "tags": ["summer", "light"]})
    await make(stores, "nothing", {"color": "yellow", "tags": ["winter"]}, type="pattern", category="top")

    found = await execute(client, QUERY, id=gid(item))

    same, other = found["catalogItem"]["similar"]
    assert (same["item"]["name"], same["score"]) == ("same", 1)
    assert [(reason["kind"], reason["score"], reason["values"]) for reason in same["reasons"]] == [
        ("TAGS", 0.3, ["linen", "summer"]),
        ("COLOR", 0.25, ["navy"]),
        ("MATERIAL", 0.2, ["linen"]),
        ("CATEGORY", 0.15, ["dress"]),
        ("TYPE", 0.1, ["fabric"]),
    ]
    assert (other["item"]["name"], other["score"]) == ("other cloth", 0.6)
    assert other["reasons"][2] == {
        "kind": "TAGS", "weight": 0.3, "closeness": 0.3333, "score": 0.1, "values": ["summer"],
    }  # fmt: skip


@pytest.mark.anyio
async def test_items_of_a_colour_that_looks_alike_are_found(client: httpx.AsyncClient, stores: Stores) -> None:
    item = await make(stores, "itself", {"color": "navy"}, category=None)
    await make(stores, "darker", {"color": "midnight blue"}, type="pattern", category="top")
    await make(stores, "bright", {"color": "yellow"}, type="pattern", category="top")

    assert await similar(client, item) == ["darker"]


@pytest.mark.anyio
@pytest.mark.parametrize("alike", ["tag", "material", "category", "type"])
async def test_one_trait_is_enough_to_be_found(client: httpx.AsyncClient, stores: Stores, alike: str) -> None:
    traits: dict[str, dict[str, Any]] = {
        "tag": {"properties": {"tags": ["summer"]}},
        "material": {"properties": {"material": "linen"}},
        "category": {"properties": {}, "category": "dress"},
        "type": {"properties": {}, "type": "fabric"},
    }
    whole = {"type": "fabric", "category": None if alike == "type" else "dress", "properties": LINEN}
    item = await create_catalog_item(stores, name="itself", **whole)
    others = {"name": "other", "type": "pattern", "category": "top", "properties": {}} | traits[alike]
    await create_catalog_item(stores, **others)

    assert await similar(client, item) == ["other"]


@pytest.mark.anyio
async def test_similar_items_are_those_that_lists_show(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, stores: Stores
) -> None:
    brand, account = await signed_in(client, stores, "brand")
    other, _ = await signed_in(client, stores, "brand")
    user, _ = await signed_in(client, stores, "user")
    item = await make(stores, "itself")
    times = iter(NOON + timedelta(days=day) for day in range(9))
    await make(stores, "shown", created_at=next(times))
    await make(stores, "mine, inactive", created_by=account.id, is_active=False, created_at=next(times))
    await make(stores, "inactive", is_active=False, created_at=next(times))
    await make(stores, "mine, deleted", created_by=account.id, deleted_at=utc_now(), created_at=next(times))

    for viewer in (client, user, other):
        assert await similar(viewer, item) == ["shown"]
    assert await similar(brand, item) == ["mine, inactive", "shown"]
    assert await similar(admin, item) == ["inactive", "mine, inactive", "shown"]


@pytest.mark.anyio
async def test_frequent_values_are_sought_among_the_newest(client: httpx.AsyncClient, stores: Stores) -> None:
    before = NOON - timedelta(days=1)
    item = await make(stores, "itself", {"material": "linen"}, category=None, type="pattern", created_at=before)
    for number in range(MOST_OF_VALUE + 1):
        await make(stores, f"{number}", {"material": "linen"}, created_at=NOON + timedelta(days=number))

    found = await similar(client, item, 100)

    assert found == [f"{number}" for number in range(MOST_OF_VALUE, 0, -1)]


@pytest.mark.anyio
async def test_a_tag_of_many_items_is_nowhere_to_seek(client: httpx.AsyncClient, stores: Stores) -> None:
    item = await make(stores, "itself", {"tags": ["rare", "frequent"]}, category=None, type="pattern")
    for number in range(RARE):  # with the item itself, one too many
        await make(stores, f"{number}", {"tags": ["frequent"]})
    await make(stores, "rare", {"tags": ["rare"]})

    assert await similar(client, item, 100) == ["rare"]


@pytest.mark.anyio
async def test_a_page_costs_two_statements_more(app: Starlette, client: httpx.AsyncClient, stores: Stores) -> None:
    for number in range(20):
        await make(stores, f"{number}", LINEN | {"color": ("navy", "red", "sage")[number % 3]})

    for first in (2, 20):
        with sent(app) as costs:
            found = await execute(client, PAGE, first=first)
        assert [len(item["similar"]) for item in found["catalogItems"]["nodes"]] == [3] * first
        assert (len(costs.sql), costs.mongo) == (3, 0)  # items, candidates, similar items


@pytest.mark.anyio
async def test_odd_properties_take_nothing_else_away(client: httpx.AsyncClient, stores: Stores) -> None:
    item = await make(stores, "itself")
    for number, odd in enumerate(({"tags": "linen"}, {"tags": [7, "linen"]}, {"color": ["navy"]}, {"material": {}})):
        await make(stores, f"odd {number}", odd)
    odd_item = await make(stores, "odd itself", {"tags": [{"a": 1}], "color": 1})

    assert set(await similar(client, item)) == {"odd 0", "odd 1", "odd 2", "odd 3", "odd itself"}
    assert len(await similar(client, odd_item)) == 5


@pytest.mark.anyio
async def test_first_is_bounded_as_in_lists(client: httpx.AsyncClient, stores: Stores) -> None:
    item = await make(stores, "itself")
    for number in range(22):
        await make(stores, f"{number}")

    assert await similar(client, item, 0) == []
    assert len(await similar(client, item, 1)) == 1
    assert len(await similar(client, item)) == 20
    for first in (-1, 101):
        said = await error_of(client, QUERY, id=gid(item), first=first)
        assert said == ("BAD_USER_INPUT", "first must lie between 0 and 100.")
