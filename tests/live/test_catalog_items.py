"""`catalogItemsChanged`: what happens to items, for whoever may find them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from api.accounts.auth import FRESH
from api.config.settings import Settings
from api.stores.stores import Stores
from models import CatalogItem
from tests.support.applications import listening, running
from tests.support.factories.catalog import create_catalog_item
from tests.support.graphql import gid
from tests.support.live import CHANGES, Followed, StreamEnded, followed, streamed
from tests.support.mutations.objects import Mutations
from tests.support.requests.sockets import socket
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

change = Mutations("catalogItem", "id").changed
TOKEN = "authorization"


async def write(stores: Stores, item: CatalogItem, values: str) -> None:
    """Change an item by SQL, as another program does."""
    async with stores.engine.begin() as connection:
        await connection.execute(text(f"UPDATE catalog.catalog_items SET {values} WHERE id = :id"), {"id": item.id})


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not holds():  # noqa: ASYNC110  nothing says when a socket has been left
            await anyio.sleep(0.01)


async def kinds(events: Followed, count: int) -> list[str]:
    return [(await events.next())["kind"] for _ in range(count)]


async def test_a_new_item_is_told(port: int, stores: Stores) -> None:
    async with followed(port, CHANGES) as events:
        item = await create_catalog_item(stores, name="Silk", price=12)

        told = await events.next()

    assert told["kind"] == "CREATED"
    assert told["itemId"] == gid(item)
    assert (told["item"]["name"], told["item"]["price"]) == ("Silk", 12)
    assert told["changedFields"] == []
    assert told["at"] is not None


async def test_what_a_brand_does_is_told_in_order(client: httpx.AsyncClient, port: int, stores: Stores) -> None:
    brand, _ = await signed_in(client, stores, "brand")
    async with followed(port, CHANGES) as events:
        item = await change(brand, "createCatalogItem", name="Silk", type="FABRIC")
        await change(brand, "updateCatalogItem", id=item["id"], price=7, name="Satin")
        await change(brand, "deleteCatalogItem", id=item["id"])
        await change(brand, "restoreCatalogItem", id=item["id"])

        told = [await events.next() for _ in range(4)]

    assert [each["kind"] for each in told] == ["CREATED", "UPDATED", "DELETED", "RESTORED"]
    assert [each["changedFields"] for each in told] == [[], ["name", "price", "updatedAt"], [], []]
    assert {each["itemId"] for each in told} == {item["id"]}
    assert [each["actor"] for each in told] == [None] * 4


async def test_an_item_enters_a_filter_and_leaves_it(port: int, stores: Stores) -> None:
    item = await create_catalog_item(stores, price=5, properties={"tags": ["warm"], "color": "red"})
    filter = {"price": {"gte": 10}, "tags": {"any": ["warm"]}, "color": {"equals": "red"}, "id": [gid(item)]}
    async with followed(port, CHANGES, filter=filter) as events:
        await create_catalog_item(stores, price=50)
        for price in (6, 10, 11, 1):
            await write(stores, item, f"price = {price}")

        assert await kinds(events, 3) == ["ENTERED", "UPDATED", "LEFT"]


async def test_an_item_that_is_no_longer_offered_leaves_and_its_brand_sees_it_stay(
    client: httpx.AsyncClient, port: int, stores: Stores
) -> None:
    brand, account = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores, created_by=account.id)
    async with (
        followed(port, CHANGES) as everyone,
        followed(port, CHANGES, brand.headers[TOKEN]) as own,
    ):
        await write(stores, item, "is_active = false, price = 3")
        gone = await everyone.next()
        await write(stores, item, "price = 4")
        await write(stores, item, "is_active = true")

        back = await everyone.next()
        assert (gone["kind"], gone["item"], gone["changedFields"]) == ("LEFT", None, [])
        assert (back["kind"], back["item"]["price"], back["changedFields"]) == ("ENTERED", 4, [])
        assert await kinds(own, 3) == ["UPDATED"] * 3


async def test_what_a_viewer_never_finds_is_not_told(client: httpx.AsyncClient, port: int, stores: Stores) -> None:
    admin, _ = await signed_in(client, stores, "admin")
    async with (
        followed(port, CHANGES) as everyone,
        followed(port, CHANGES, admin.headers[TOKEN]) as all_of_it,
    ):
        hidden = await create_catalog_item(stores, is_active=False)
        await write(stores, hidden, "deleted_at = now()")
        shown = await create_catalog_item(stores)

        assert (await everyone.next())["itemId"] == gid(shown)
        assert await kinds(all_of_it, 3) == ["CREATED", "DELETED", "CREATED"]


async def test_an_asset_that_a_viewer_may_not_use_is_not_said_to_have_changed(
    client: httpx.AsyncClient, port: int, stores: Stores
) -> None:
    premium, _ = await signed_in(client, stores, "premium")
    item = await create_catalog_item(stores, is_premium=True, asset_url="https://assets.example/1")
    async with (
        followed(port, CHANGES) as everyone,
        followed(port, CHANGES, premium.headers[TOKEN]) as paying,
    ):
        await write(stores, item, "asset_url = 'https://assets.example/2'")

        told, seen = await everyone.next(), await paying.next()

    assert (told["changedFields"], told["item"]["assetUrl"]) == (["updatedAt"], None)
    assert (seen["changedFields"], seen["item"]["assetUrl"]) == (["assetUrl", "updatedAt"], "https://assets.example/2")


async def test_who_did_it_is_for_admins_and_themselves(client: httpx.AsyncClient, port: int, stores: Stores) -> None:
    brand, account = await signed_in(client, stores, "brand")
    other, _ = await signed_in(client, stores, "brand")
    admin, _ = await signed_in(client, stores, "admin")
    async with (
        followed(port, CHANGES, brand.headers[TOKEN]) as own,
        followed(port, CHANGES, other.headers[TOKEN]) as others,
        followed(port, CHANGES, admin.headers[TOKEN]) as admins,
    ):
        await change(brand, "createCatalogItem", name="Silk", type="FABRIC")

        actors = [(await events.next())["actor"] for events in (own, others, admins)]

    assert actors == [{"id": gid(account)}, None, {"id": gid(account)}]


async def test_what_is_rolled_back_is_never_told(port: int, stores: Stores) -> None:
    async with followed(port, CHANGES) as events:
        async with stores.engine.connect() as connection:
            await connection.execute(text("INSERT INTO catalog.catalog_items (name, type) VALUES ('No', 'fabric')"))
            await connection.rollback()
        await create_catalog_item(stores, name="Yes")

        assert (await events.next())["item"]["name"] == "Yes"


async def test_a_change_that_is_committed_late_comes_in_its_place(port: int, stores: Stores) -> None:
    async with followed(port, CHANGES) as events:
        async with stores.engine.connect() as connection:
            await connection.execute(text("INSERT INTO catalog.catalog_items (name, type) VALUES ('Late', 'fabric')"))
            await create_catalog_item(stores, name="Early")
            await connection.commit()

        names = [(await events.next())["item"]["name"] for _ in range(2)]

    assert names == ["Late", "Early"]


async def test_it_goes_on_after_a_token(port: int, stores: Stores) -> None:
    async with followed(port, CHANGES) as events:
        await create_catalog_item(stores, name="One")
        await create_catalog_item(stores, name="Two")
        after = (await events.next())["resumeToken"]
    await create_catalog_item(stores, name="Three")

    async with followed(port, CHANGES, after=after) as events:
        names = [(await events.next())["item"]["name"] for _ in range(2)]
        await create_catalog_item(stores, name="Four")
        names.append((await events.next())["item"]["name"])

    assert names == ["Two", "Three", "Four"]


async def test_it_goes_on_after_the_start_and_after_more_than_is_kept(port: int, stores: Stores) -> None:
    async with socket(port) as opened:
        await opened.begin()
        await opened.subscribe("one", CHANGES)
        after = (await opened.receive())["payload"]["data"]["catalogItemsChanged"]["resumeToken"]
    async with stores.engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO catalog.catalog_items (name, type, price) "
                "SELECT 'Silk', 'fabric', each FROM generate_series(1, 1200) AS each"
            )
        )
    thin = "subscription ($after: String) { catalogItemsChanged(after: $after) { resumeToken item { price } } }"

    async with followed(port, thin, after=after) as events:
        prices = [(await events.next())["item"]["price"] for _ in range(1200)]

    assert prices == list(range(1, 1201))


async def test_places_of_what_was_rolled_back_do_not_count(
    settings: Settings, clean_stores: None, stores: Stores
) -> None:
    async with running(settings, max_events_behind=5) as (app, _), listening(app) as port:
        async with followed(port, CHANGES) as events:
            await create_catalog_item(stores, name="Silk")
            after = (await events.next())["resumeToken"]
        async with stores.engine.connect() as connection:
            await connection.execute(
                text(
                    "INSERT INTO catalog.catalog_items (name, type, price) "
                    "SELECT 'Felt', 'fabric', each FROM generate_series(1, 50) AS each"
                )
            )
            await connection.rollback()
        for name in ("Satin", "Tulle"):
            await create_catalog_item(stores, name=name)

        async with followed(port, CHANGES, after=after) as events:
            assert [(await events.next())["item"]["name"] for _ in range(2)] == ["Satin", "Tulle"]


@pytest.mark.parametrize(
    ("after", "filter", "code"),
    [
        ("nonsense", None, "BAD_USER_INPUT"),
        ("", None, "BAD_USER_INPUT"),
        (None, {"price": {"gt": 1}}, "BAD_USER_INPUT"),
    ],
)
async def test_a_token_of_another_question_is_refused(port: int, after: str | None, filter: Any, code: str) -> None:
    async with socket(port) as opened:
        await opened.begin()
        await opened.subscribe("one", CHANGES)
        token = (await opened.receive())["payload"]["data"]["catalogItemsChanged"]["resumeToken"]

        await opened.subscribe("two", CHANGES, variables={"after": token if after is None else after, "filter": filter})
        refused = await opened.receive()

    assert (refused["id"], refused["type"]) == ("two", "error")
    assert refused["payload"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_token_that_is_too_old_has_a_code_of_its_own(settings: Settings, stores: Stores) -> None:
    async with running(settings, max_events_behind=2) as (app, _), listening(app) as port:
        async with followed(port, CHANGES) as events:
            await create_catalog_item(stores)
            after = (await events.next())["resumeToken"]
        for _ in range(3):
            await create_catalog_item(stores)

        async with socket(port) as opened:
            await opened.begin()
            await opened.subscribe("one", CHANGES, variables={"after": after})
            refused = await opened.receive()

    assert refused["payload"][0]["extensions"]["code"] == "RESUME_TOKEN_EXPIRED"


async def test_deleted_items_are_not_followed(port: int) -> None:
    async with socket(port) as opened:
        await opened.begin()
        await opened.subscribe("one", CHANGES, variables={"filter": {"deleted": True}})

        assert (await opened.receive())["payload"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_subscription_over_http_needs_a_stream(client: httpx.AsyncClient) -> None:
    response = await client.post("/graphql", json={"query": CHANGES})

    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_there_are_only_so_many(settings: Settings, client: httpx.AsyncClient, stores: Stores) -> None:
    limits = {"max_subscriptions": 3, "max_subscriptions_per_account": 2}
    async with running(settings, **limits) as (app, mine), listening(app) as port:
        ada, _ = await signed_in(mine, stores)
        token = ada.headers[TOKEN]
        async with followed(port, CHANGES, token), followed(port, CHANGES, token) as second:
            await second.socket.subscribe("third", CHANGES)
            refused = await second.socket.receive()
            assert refused["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
            async with followed(port, CHANGES), socket(port) as another:
                await another.begin()
                await another.subscribe("one", CHANGES)
                assert (await another.receive())["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        await until(lambda: not len(app.state.live))


async def test_completing_ends_it_and_the_socket_stays(app: Starlette, port: int, stores: Stores) -> None:
    async with followed(port, CHANGES) as events:
        await events.socket.send({"type": "complete", "id": "followed"})
        await until(lambda: not len(app.state.live))
        await create_catalog_item(stores)

        assert await events.socket.execute("{ __typename }") == {"__typename": "Query"}


async def test_a_stream_of_events_has_them(port: int, stores: Stores) -> None:
    async with streamed(port, CHANGES) as events:
        assert (await anext(events))["kind"] == "STARTED"
        item = await create_catalog_item(stores)

        assert (await anext(events))["itemId"] == gid(item)


async def test_a_stream_ends_with_its_session(client: httpx.AsyncClient, port: int, stores: Stores) -> None:
    ada, account = await signed_in(client, stores)
    async with streamed(port, CHANGES, ada.headers[TOKEN]) as events:
        await anext(events)
        async with stores.engine.begin() as connection:
            await connection.execute(
                text("DELETE FROM shared.account_sessions WHERE user_id = :id"), {"id": account.id}
            )

        with pytest.raises(StreamEnded) as ended:
            await anext(events)

    assert ended.value.code == "INVALID_ACCESS_TOKEN"


async def test_a_role_that_changes_changes_what_is_told(client: httpx.AsyncClient, port: int, stores: Stores) -> None:
    admin, account = await signed_in(client, stores, "admin")
    async with followed(port, CHANGES, admin.headers[TOKEN]) as events:
        await create_catalog_item(stores, is_active=False)
        assert (await events.next())["kind"] == "CREATED"
        async with stores.engine.begin() as connection:
            await connection.execute(text("UPDATE shared.users SET role = 'user' WHERE id = :id"), {"id": account.id})
        await anyio.sleep(FRESH)  # a session is read again after so long

        await create_catalog_item(stores, is_active=False)
        shown = await create_catalog_item(stores)

        assert (await events.next())["itemId"] == gid(shown)
