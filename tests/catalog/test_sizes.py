"""Size tables of items, as they are written and read."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.catalog.sizes import MAX_SIZES, table_of
from api.stores.stores import Stores
from tests.support.factories.catalog import catalog_items, create_catalog_item
from tests.support.graphql import execute, gid
from tests.support.mutations.objects import Mutations, invalid
from tests.support.signing_in import signed_in

MUTATIONS = Mutations("catalogItem", "id")
changed, refused = MUTATIONS.changed, MUTATIONS.refused
READ = "query ($id: ID!) { catalogItem(id: $id) { properties { color sizes { name chest waist hips } } } }"
M = {"name": "M", "chest": 96.0, "waist": 80.0, "hips": 100.5}
S = {"name": "S", "chest": 90.0, "waist": 74.0, "hips": 95.0}


def test_a_table_has_the_smallest_size_first() -> None:
    stored = {"40": {"chest": 96, "waist": 80, "hips": 100}, "4": {"chest": 90.5, "waist": 74, "hips": 95}}

    assert list(table_of(stored).items()) == [("4", (90.5, 74.0, 95.0)), ("40", (96.0, 80.0, 100.0))]


def test_a_table_has_no_more_sizes_than_may_be() -> None:
    stored = {str(number): {"chest": 50 + number, "waist": 40, "hips": 50} for number in range(MAX_SIZES + 1)}

    assert len(table_of(stored)) == MAX_SIZES


async def sizes_of(client: httpx.AsyncClient, item: Any) -> Any:
    return (await execute(client, READ, id=item if isinstance(item, str) else gid(item)))["catalogItem"]["properties"][
        "sizes"
    ]


@pytest.mark.anyio
async def test_a_size_table_is_written_read_changed_and_removed(client: httpx.AsyncClient, stores: Stores) -> None:
    brand, _ = await signed_in(client, stores, "brand")
    properties = {"color": "navy", "sizes": [M, S]}

    item = await changed(brand, "createCatalogItem", name="Coat", type="SILHOUETTE", properties=properties)

    assert await sizes_of(brand, item["id"]) == [S, M]
    (stored,) = await catalog_items(stores).find_all()
    assert stored.properties["sizes"]["M"] == {"chest": 96.0, "waist": 80.0, "hips": 100.5}
    await changed(brand, "updateCatalogItem", id=item["id"], properties={"color": "black"})
    assert await sizes_of(brand, item["id"]) == [S, M]
    await changed(brand, "updateCatalogItem", id=item["id"], properties={"sizes": [S]})
    assert await sizes_of(brand, item["id"]) == [S]
    await changed(brand, "updateCatalogItem", id=item["id"], properties={"sizes": None})
    (stored,) = await catalog_items(stores).find_all()
    assert stored.properties == {"color": "black"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("sizes", "path"),
    [
        ([M | {"chest": 0}], "properties.sizes.0.chest"),
        ([S, M | {"waist": -1}], "properties.sizes.1.waist"),
        ([M | {"hips": 500.1}], "properties.sizes.0.hips"),
        ([M | {"name": " "}], "properties.sizes.0.name"),
        ([M | {"name": "x" * 33}], "properties.sizes.0.name"),
        ([M, M], "properties.sizes"),
        ([M | {"name": str(number)} for number in range(31)], "properties.sizes"),
    ],
)
async def test_a_size_table_must_make_sense(
    client: httpx.AsyncClient, stores: Stores, sizes: list[Any], path: str
) -> None:
    brand, _ = await signed_in(client, stores, "brand")

    said = await refused(brand, "createCatalogItem", name="Coat", type="SILHOUETTE", properties={"sizes": sizes})

    assert said == invalid(path)
    assert await catalog_items(stores).count() == 0


@pytest.mark.anyio
async def test_a_whole_table_may_be_written(client: httpx.AsyncClient, stores: Stores) -> None:
    brand, _ = await signed_in(client, stores, "brand")
    sizes = [M | {"name": "x" * 30 + f"{number:02}", "hips": 500} for number in range(30)]

    item = await changed(brand, "createCatalogItem", name="Coat", type="SILHOUETTE", properties={"sizes": sizes})

    assert len(await sizes_of(brand, item["id"])) == 30


@pytest.mark.anyio
@pytest.mark.parametrize("odd", ["M", 7, True, [M], {"M": "wide"}, {"M": {"chest": 96}}, {"M": {**M, "hips": -1}}])
async def test_odd_sizes_are_left_out(admin: httpx.AsyncClient, stores: Stores, odd: Any) -> None:
    item = await create_catalog_item(stores, properties={"color": "navy", "sizes": odd})

    assert (await execute(admin, READ, id=gid(item)))["catalogItem"] == {"properties": {"color": "navy", "sizes": []}}


@pytest.mark.anyio
async def test_an_odd_size_takes_no_other_away(admin: httpx.AsyncClient, stores: Stores) -> None:
    girths = {name: M[name] for name in ("chest", "waist", "hips")}
    item = await create_catalog_item(stores, properties={"sizes": {"L": "wide", "M": girths}})

    assert await sizes_of(admin, item) == [M]
