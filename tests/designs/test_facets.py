"""Facets of designs: their values with counts, over what a list shows, in MongoDB."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from api.stores.stores import Stores
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, insert_design, layer_of
from tests.support.factories.users import create_user
from tests.support.graphql import error_of, execute, gid, sent
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

BOTH = "{ status { value count } tags { value count } }"


async def facets(client: httpx.AsyncClient, filter: Any = None, asked: str = BOTH) -> dict[str, Any]:
    """The facets of the list, each as pairs of a value and its count."""
    query = f"query ($filter: DesignFilter) {{ designs(filter: $filter) {{ facets {asked} }} }}"
    return told((await execute(client, query, filter=filter))["designs"]["facets"])


def told(found: dict[str, Any]) -> dict[str, Any]:
    return {name: [(each["value"], each["count"]) for each in values] for name, values in found.items()}


async def collection(stores: Stores) -> None:
    await create_design(stores, status="published", metadata={"tags": ["summer", "beach"]})
    await create_design(stores, status="published", metadata={"tags": ["summer"]})
    await create_design(stores, status="draft", metadata={"tags": ["beach", "dark"]})
    await create_design(stores, status="archived")


async def test_every_facet(admin: httpx.AsyncClient, stores: Stores) -> None:
    assert await facets(admin) == {"status": [], "tags": []}
    await collection(stores)

    assert await facets(admin) == {
        "status": [("PUBLISHED", 2), ("ARCHIVED", 1), ("DRAFT", 1)],
        "tags": [("beach", 2), ("summer", 2), ("dark", 1)],
    }
    assert await facets(admin, None, "{ tags(first: 1) { value count } }") == {"tags": [("beach", 2)]}
    assert await facets(admin, None, "{ tags(first: 0) { value count } }") == {"tags": []}


async def test_a_facet_is_counted_without_its_own_filter(admin: httpx.AsyncClient, stores: Stores) -> None:
    await collection(stores)

    draft = await facets(admin, {"status": "DRAFT"})
    assert draft == {
        "status": [("PUBLISHED", 2), ("ARCHIVED", 1), ("DRAFT", 1)],
        "tags": [("beach", 1), ("dark", 1)],
    }
    both = await facets(admin, {"status": "DRAFT", "and": [{"tags": {"any": ["summer"]}}]})
    assert both == {"status": [("PUBLISHED", 2)], "tags": [("beach", 1), ("dark", 1)]}
    named = await facets(admin, {"not": {"or": [{"tags": {"all": "summer"}}, {"status": "DRAFT"}]}})
    assert named == {"status": [("ARCHIVED", 1)], "tags": []}


async def test_nobody_counts_what_they_may_not_see(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, account = await signed_in(client, stores)
    eve, _ = await signed_in(client, stores)
    await create_design(stores, user_id=account.id, status="draft", metadata={"tags": ["secret"]})
    await create_design(stores, user_id=account.id, status="published", metadata={"tags": ["open"]})
    shown = {"status": [("PUBLISHED", 1)], "tags": [("open", 1)]}
    filters: tuple[Any, ...] = (None, {"status": ["DRAFT", "PUBLISHED"]}, {"owner": gid(account)})

    for filter in filters:
        for viewer in (client, eve):
            assert await facets(viewer, filter) == shown
        assert await facets(ada, filter) == {
            "status": [("DRAFT", 1), ("PUBLISHED", 1)],
            "tags": [("open", 1), ("secret", 1)],
        }
    for viewer in (client, eve):
        assert await facets(viewer, {"tags": {"any": ["secret"]}}) == {"status": [], "tags": [("open", 1)]}
        # the filter on the status is left out, what the viewer may see is not
        assert await facets(viewer, {"status": "DRAFT"}) == {"status": [("PUBLISHED", 1)], "tags": []}
    assert (await error_of(client, "{ designs(filter: {deleted: true}) { facets { tags { value } } } }"))[0] == (
        "UNAUTHENTICATED"
    )


async def test_odd_values_read_as_nothing(admin: httpx.AsyncClient, stores: Stores) -> None:
    odd: tuple[Any, ...] = (5, None, "text", {}, [], ["draft"], [["draft"]], True)
    for value in odd:
        await insert_design(stores, status=value, metadata=value)
        await insert_design(stores, status="draft", metadata={"tags": value})
    await insert_design(stores, metadata=[{"tags": ["inside"]}])
    await insert_design(stores, metadata={"tags": ["twice", "twice", 5, None, "", {}, ["deep"], "é" * 300]})

    assert await facets(admin) == {
        "status": [("DRAFT", len(odd) + 2)],
        "tags": [("", 1), ("draft", 1), ("twice", 1), ("é" * 255, 1)],
    }


async def test_all_facets_are_one_command(app: Starlette, admin: httpx.AsyncClient, stores: Stores) -> None:
    await collection(stores)

    with sent(app) as costs:
        await execute(admin, f"{{ designs(first: 1) {{ nodes {{ name }} totalCount facets {BOTH} }} }}")

    assert (len(costs.sql), costs.mongo) == (0, 3)


async def test_facets_of_many_parents_are_one_command(app: Starlette, admin: httpx.AsyncClient, stores: Stores) -> None:
    item, other = await create_catalog_item(stores, name="a"), await create_catalog_item(stores, name="b")
    owner = await create_user(stores)
    for tag in ("one", "two"):
        layers = [layer_of(item.id, id="1"), layer_of(item.id, id="2")]
        values = {"user_id": owner.id, "status": "published", "layers": layers}
        await create_design(stores, **values, metadata={"tags": [tag]})
    await create_design(stores, layers=[layer_of(other.id)], metadata={"tags": ["other"]})
    await create_catalog_item(stores, name="c")

    with sent(app) as costs:
        data = await execute(
            admin, f"{{ catalogItems(orderBy: {{field: NAME}}) {{ nodes {{ designs {{ facets {BOTH} }} }} }} }}"
        )

    assert [told(node["designs"]["facets"]) for node in data["catalogItems"]["nodes"]] == [
        {"status": [("PUBLISHED", 2)], "tags": [("one", 1), ("two", 1)]},
        {"status": [("DRAFT", 1)], "tags": [("other", 1)]},
        {"status": [], "tags": []},
    ]
    assert (len(costs.sql), costs.mongo) == (1, 1)
    of_user = (
        f'query ($id: ID!) {{ user(id: $id) {{ designs(filter: {{tags: {{any: "one"}}}}) {{ facets {BOTH} }} }} }}'
    )
    found = (await execute(admin, of_user, id=gid(owner)))["user"]["designs"]["facets"]
    assert told(found) == {"status": [("PUBLISHED", 1)], "tags": [("one", 1), ("two", 1)]}
