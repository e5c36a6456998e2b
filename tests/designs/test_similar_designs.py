"""Similar designs, as clients ask for them."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest
from starlette.applications import Starlette

from api.designs.similar import sources_of, traits_of
from api.similarity.traits import Traits
from api.stores.stores import Stores
from documents import Design
from documents.base import utc_now
from models import new_id
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, insert_design, layer_of
from tests.support.graphql import error_of, execute, gid, sent
from tests.support.signing_in import signed_in

QUERY: Final = """
    query ($id: ID!, $first: Int) {
      design(id: $id) { similar(first: $first) { design { name } score reasons { kind score values } } }
    }"""
PAGE: Final = "query ($first: Int) { designs(first: $first) { nodes { similar(first: 3) { design { name } score } } } }"


async def make(stores: Stores, name: str, tags: Any = ("summer",), **values: Any) -> Design:
    defaults = {"name": name, "status": "published", "metadata": {"tags": list(tags)}}
    return await create_design(stores, **defaults | values)


async def similar(client: httpx.AsyncClient, design: Design, first: int | None = None) -> list[str]:
    """The names of the similar designs."""
    found = await execute(client, QUERY, id=gid(design), first=first)
    return [each["design"]["name"] for each in found["design"]["similar"]]


def test_a_design_has_the_traits_of_its_layers_and_items() -> None:
    silk, linen, gone = new_id(), new_id(), new_id()
    items: dict[Any, Any] = {
        silk: {"category": "dress", "properties": {"material": "silk", "color": "navy"}},
        linen: {"category": None, "properties": {"material": "linen", "color": "white"}},
    }
    layers = [
        layer_of(silk, color="red"), layer_of(linen, type="pattern"), layer_of(gone), layer_of(None, type=7), "odd",
    ]  # fmt: skip

    assert traits_of({"metadata": {"tags": ["summer", 7]}, "layers": layers}, items) == Traits(
        tags=frozenset(("summer",)),
        colours=frozenset(("red", "white")),  # the layer's own before its item's
        materials=frozenset(("silk", "linen")),
        categories=frozenset(("dress",)),
        types=frozenset(("fabric", "pattern")),
    )
    for odd in ({}, {"metadata": "none", "layers": "none"}, {"metadata": {"tags": "summer"}, "layers": [None]}):
        assert traits_of(odd, items) == Traits()
        assert list(sources_of(odd)) == []


@pytest.mark.anyio
async def test_similar_designs_come_with_their_reasons(client: httpx.AsyncClient, stores: Stores) -> None:
    silk = await create_catalog_item(stores, category="dress", properties={"material": "silk", "color": "navy"})
    wool = await create_catalog_item(stores, category="dress", properties={"material": "wool", "color": "indigo"})
    design = await make(stores, "itself", ["summer", "light"], layers=[layer_of(silk.id)])
    await make(stores, "by tag", ["summer"], layers=[layer_of(wool.id)])
    await make(stores, "by item", [], layers=[layer_of(silk.id, color="navy")])
    await make(stores, "by nothing", ["winter"], layers=[layer_of(wool.id)])

    found = (await execute(client, QUERY, id=gid(design)))["design"]["similar"]

    assert [each["design"]["name"] for each in found] == ["by item", "by tag"]
    by_item, by_tag = found
    assert by_item["score"] == 0.7
    assert [(reason["kind"], reason["score"]) for reason in by_item["reasons"]] == [
        ("COLOR", 0.25), ("MATERIAL", 0.2), ("CATEGORY", 0.15), ("TYPE", 0.1),
    ]  # fmt: skip
    assert {reason["kind"]: reason["values"] for reason in by_tag["reasons"]} == {
        "TAGS": ["summer"], "COLOR": ["indigo"], "CATEGORY": ["dress"], "TYPE": ["fabric"],
    }  # fmt: skip


@pytest.mark.anyio
async def test_only_published_designs_are_similar(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, stores: Stores
) -> None:
    ada, account = await signed_in(client, stores, "user")
    design = await make(stores, "itself", user_id=account.id)
    await make(stores, "published")
    await make(stores, "draft", status="draft")
    await make(stores, "archived", status="archived")
    await make(stores, "deleted", deleted_at=utc_now())

    for viewer in (client, ada, admin):
        assert await similar(viewer, design) == ["published"]


@pytest.mark.anyio
async def test_a_draft_has_similar_designs_for_its_owner(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, account = await signed_in(client, stores, "user")
    draft = await make(stores, "draft", user_id=account.id, status="draft")
    await make(stores, "published")

    assert await similar(ada, draft) == ["published"]
    assert (await execute(client, QUERY, id=gid(draft)))["design"] is None


@pytest.mark.anyio
async def test_a_deleted_item_says_nothing(client: httpx.AsyncClient, stores: Stores) -> None:
    gone = await create_catalog_item(stores, category="dress", properties={"material": "silk"}, deleted_at=utc_now())
    design = await make(stores, "itself", [], layers=[layer_of(gone.id)])
    await make(stores, "other", [], layers=[layer_of(gone.id)])

    found = (await execute(client, QUERY, id=gid(design)))["design"]["similar"]

    assert [reason["kind"] for each in found for reason in each["reasons"]] == ["TYPE"]


@pytest.mark.anyio
async def test_odd_designs_take_nothing_else_away(client: httpx.AsyncClient, stores: Stores) -> None:
    design = await make(stores, "itself")
    await insert_design(stores, name="odd", status="published", metadata={"tags": ["summer", 7, None]}, layers="none")
    await insert_design(
        stores, name="odder", status="published", metadata={"tags": "summer"}, layers=[7, {"itemId": 7}]
    )
    await insert_design(stores, name="oddest", status="published", metadata=7)

    assert set(await similar(client, design)) == {"odd"}


@pytest.mark.anyio
async def test_a_page_costs_one_command_and_one_statement(
    app: Starlette, client: httpx.AsyncClient, stores: Stores
) -> None:
    items = [await create_catalog_item(stores, properties={"material": "silk"}) for _ in range(3)]
    for number in range(20):
        await make(stores, f"{number}", ["summer", f"{number % 4}"], layers=[layer_of(items[number % 3].id)])

    for first in (2, 20):
        with sent(app) as costs:
            found = await execute(client, PAGE, first=first)
        assert [len(design["similar"]) for design in found["designs"]["nodes"]] == [3] * first
        assert (len(costs.sql), costs.mongo) == (1, 3)  # the items; designs, candidates, similar designs


@pytest.mark.anyio
async def test_first_is_bounded_as_in_lists(client: httpx.AsyncClient, stores: Stores) -> None:
    design = await make(stores, "itself")
    for number in range(3):
        await make(stores, f"{number}")

    assert await similar(client, design, 0) == []
    assert await similar(client, design, 2) == ["2", "1"]
    assert await similar(client, design) == ["2", "1", "0"]
    for first in (-1, 101):
        said = await error_of(client, QUERY, id=gid(design), first=first)
        assert said == ("BAD_USER_INPUT", "first must lie between 0 and 100.")
