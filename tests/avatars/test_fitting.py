"""What fits an avatar: by hand-worked examples, and as clients ask for it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from api.avatars.fitting import Fit, body_of, fit_of, fitting
from api.catalog.finding_store import MOST_TABLES
from api.stores.stores import Stores
from documents.base import utc_now
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.graphql import error_of, execute, gid, sent
from tests.support.signing_in import signed_in

BODY = (90.0, 70.0, 95.0)
MEASUREMENTS = {"chest": 90, "waist": 70, "hips": 95}
QUERY = """
    query ($id: ID!, $first: Int) {
      node(id: $id) { ... on Avatar { fittingItems(first: $first) { item { name } size ease { chest waist hips } } } }
    }"""
PAGE = "query ($first: Int) { avatars(first: $first) { nodes { fittingItems { item { name } size } } } }"


def sized(chest: float, waist: float, hips: float) -> dict[str, float]:
    return {"chest": chest, "waist": waist, "hips": hips}


def test_the_ease_is_the_garment_less_the_body() -> None:
    assert fit_of(BODY, {"M": (96.0, 74.5, 100.0)}) == Fit("M", (6.0, 4.5, 5.0))
    assert fit_of((90.1, 70.0, 95.0), {"M": (90.4, 70.0, 95.0)}) == Fit("M", (0.3, 0.0, 0.0))


def test_a_size_fits_from_no_ease_to_the_most() -> None:
    fits = {
        "as the body": (90.0, 70.0, 95.0),
        "as wide as may be": (110.0, 90.0, 115.0),
    }
    for name, girths in fits.items():
        assert fit_of(BODY, {name: girths}) is not None
    for girths in (
        (89.9, 80, 100),
        (95, 69.9, 100),
        (95, 80, 94.9),
        (110.1, 80, 100),
        (95, 90.1, 100),
        (95, 80, 115.1),
    ):
        assert fit_of(BODY, {"M": girths}) is None


def test_the_size_with_the_least_ease_in_all_is_taken() -> None:
    sizes = {"S": (88.0, 72.0, 96.0), "M": (92.0, 74.0, 99.0), "L": (100.0, 80.0, 105.0)}

    assert fit_of(BODY, sizes) == Fit("M", (2.0, 4.0, 4.0))  # S is too narrow at the chest, and L has 30 in place of 10
    assert fit_of(BODY, {"b": (92.0, 74.0, 99.0), "a": (94.0, 72.0, 99.0)}) == Fit("a", (4.0, 2.0, 4.0))
    assert fit_of(BODY, {}) is None


def test_the_closest_item_is_first_and_then_the_newest() -> None:
    tables: list[tuple[Any, Any]] = [
        ("newest", {"M": (95.0, 75.0, 100.0)}),
        ("small", {"M": (80.0, 60.0, 85.0)}),
        ("closest", {"M": (91.0, 71.0, 96.0)}),
        ("oldest", {"M": (100.0, 75.0, 95.0)}),
    ]

    assert [id for id, _ in fitting(BODY, tables, 10)] == ["closest", "newest", "oldest"]
    assert [id for id, _ in fitting(BODY, tables, 1)] == ["closest"]


@pytest.mark.parametrize(
    "measurements",
    [
        None,
        {},
        [90, 70, 95],
        {"chest": 90, "waist": 70},
        {"chest": 90, "waist": 70, "hips": "95"},
        {"chest": -90, "waist": 70, "hips": 95},
        {"chest": 90, "waist": 0, "hips": 95},
    ],
)
def test_a_body_that_lacks_a_measure_is_none(measurements: Any) -> None:
    assert body_of(measurements) is None


async def fits(client: httpx.AsyncClient, avatar: Any, first: int | None = None) -> Any:
    """What is told of the items that fit: their names and sizes."""
    found = (await execute(client, QUERY, id=gid(avatar), first=first))["node"]["fittingItems"]
    return None if found is None else [(fit["item"]["name"], fit["size"]) for fit in found]


@pytest.mark.anyio
async def test_items_with_a_size_that_fits_are_found(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, account = await signed_in(client, stores, "user")
    avatar = await create_avatar(stores, user_id=account.id, measurements=MEASUREMENTS)
    sizes = {"S": sized(88, 68, 93), "M": sized(95, 75, 100)}
    await create_catalog_item(stores, name="loose", properties={"sizes": sizes})
    await create_catalog_item(stores, name="close", properties={"sizes": {"38": sized(91.5, 71, 96)}})
    await create_catalog_item(stores, name="small", properties={"sizes": {"S": sized(80, 60, 90)}})
    await create_catalog_item(stores, name="hidden", is_active=False, properties={"sizes": sizes})
    await create_catalog_item(stores, name="deleted", deleted_at=utc_now(), properties={"sizes": sizes})
    await create_catalog_item(stores, name="unsized", properties={})

    found = await execute(ada, QUERY, id=gid(avatar))

    assert found["node"]["fittingItems"] == [
        {"item": {"name": "close"}, "size": "38", "ease": sized(1.5, 1, 1)},
        {"item": {"name": "loose"}, "size": "M", "ease": sized(5, 5, 5)},
    ]
    assert await fits(ada, avatar, 1) == [("close", "38")]
    assert await fits(ada, avatar, 0) == []


@pytest.mark.anyio
async def test_odd_size_tables_take_only_themselves_away(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, account = await signed_in(client, stores, "user")
    avatar = await create_avatar(stores, user_id=account.id, measurements=MEASUREMENTS)
    right = sized(95, 75, 100)
    odd: list[Any] = [
        "M", 7, None, True, [], [right], {"M": "wide"}, {"M": None}, {"M": {"chest": 95, "waist": 75}},
        {"M": right | {"hips": "100"}}, {"M": right | {"hips": -100}}, {"M": right | {"hips": True}},
        {"M": right | {"hips": 501}},
    ]  # fmt: skip
    for number, table in enumerate(odd):
        await create_catalog_item(stores, name=f"odd {number}", properties={"sizes": table})
    await create_catalog_item(stores, name="half", properties={"sizes": {"S": "narrow", "M": right}})

    assert await fits(ada, avatar) == [("half", "M")]


@pytest.mark.anyio
async def test_what_fits_is_told_to_the_owner_and_admins_only(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, stores: Stores
) -> None:
    ada, account = await signed_in(client, stores, "user")
    others = [client, *[(await signed_in(client, stores, role))[0] for role in ("user", "premium", "brand")]]
    avatar = await create_avatar(stores, user_id=account.id, measurements=MEASUREMENTS)
    await create_design(stores, user_id=account.id, avatar_id=avatar.id, status="published")
    await create_catalog_item(stores, name="close", properties={"sizes": {"M": sized(91, 71, 96)}})

    assert await fits(ada, avatar) == await fits(admin, avatar) == [("close", "M")]
    for other in others:
        assert await fits(other, avatar) is None


@pytest.mark.anyio
async def test_a_brand_finds_its_own_inactive_items(client: httpx.AsyncClient, stores: Stores) -> None:
    brand, account = await signed_in(client, stores, "brand")
    avatar = await create_avatar(stores, user_id=account.id, measurements=MEASUREMENTS)
    hidden = {"is_active": False, "properties": {"sizes": {"M": sized(91, 71, 96)}}}
    await create_catalog_item(stores, name="mine", created_by=account.id, **hidden)
    await create_catalog_item(stores, name="theirs", **hidden)

    assert await fits(brand, avatar) == [("mine", "M")]


@pytest.mark.anyio
async def test_an_avatar_without_measures_fits_nothing(
    app: Starlette, client: httpx.AsyncClient, stores: Stores
) -> None:
    ada, account = await signed_in(client, stores, "user")
    avatar = await create_avatar(stores, user_id=account.id, measurements={"chest": 90})
    await create_catalog_item(stores, properties={"sizes": {"M": sized(91, 71, 96)}})

    with sent(app) as costs:
        assert await fits(ada, avatar) == []

    assert not any("sizes" in statement for statement in costs.sql)


@pytest.mark.anyio
async def test_a_page_of_avatars_costs_one_statement_more(
    app: Starlette, admin: httpx.AsyncClient, client: httpx.AsyncClient, stores: Stores
) -> None:
    for number in range(20):
        _, account = await signed_in(client, stores, "user")
        await create_avatar(stores, user_id=account.id, measurements=MEASUREMENTS | {"chest": 85 + number % 5})
        await create_catalog_item(stores, name=f"item {number}", properties={"sizes": {"M": sized(91, 71, 96)}})

    for first in (2, 20):
        with sent(app) as costs:
            found = await execute(admin, PAGE, first=first)
        assert [len(avatar["fittingItems"]) for avatar in found["avatars"]["nodes"]] == [20] * first
        assert (len(costs.sql), costs.mongo) == (3, 0)  # avatars, size tables, items


@pytest.mark.anyio
@pytest.mark.parametrize("first", [-1, 101])
async def test_first_is_bounded_as_in_lists(client: httpx.AsyncClient, stores: Stores, first: int) -> None:
    ada, account = await signed_in(client, stores, "user")
    avatar = await create_avatar(stores, user_id=account.id, measurements=MEASUREMENTS)

    said = await error_of(ada, QUERY, id=gid(avatar), first=first)

    assert said == ("BAD_USER_INPUT", "first must lie between 0 and 100.")


def test_the_description_says_how_many_tables_are_looked_at() -> None:
    assert MOST_TABLES == 1000
