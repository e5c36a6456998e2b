"""An event is executed once for all who ask the same and see the same."""

from __future__ import annotations

import contextlib
from typing import Any

import httpx
import pytest
import structlog
from starlette.applications import Starlette

from api.admission.limited_schema import LimitedSchema
from api.stores.stores import Stores
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.graphql import gid
from tests.support.live import CHANGES, followed
from tests.support.mutations.designs import changed
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

TOKEN = "authorization"


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The executions of events, each as what it was given."""
    found: list[object] = []
    execute_event = LimitedSchema.execute_event

    async def counted(*given: Any) -> Any:
        found.append(given)
        return await execute_event(*given)

    monkeypatch.setattr(LimitedSchema, "execute_event", counted)
    return found


ITEMS_ONLY = "subscription { catalogItemsChanged { kind itemId item { name assetUrl properties { color } } } }"


@pytest.mark.parametrize(
    ("query", "roles", "executions"),
    [
        (ITEMS_ONLY, ["user", "user", "premium", "premium"], 2),
        (ITEMS_ONLY, ["brand", "brand"], 2),
        ("subscription { catalogItemsChanged { kind actor { id } } }", ["user", "user"], 2),
        ("subscription { catalogItemsChanged { kind item { brand { email } } } }", ["user", "user"], 2),
    ],
)
async def test_accounts_share_what_they_see_alike(
    client: httpx.AsyncClient,
    port: int,
    stores: Stores,
    executed: list[object],
    query: str,
    roles: list[str],
    executions: int,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        all_events = []
        for role in roles:
            account, _ = await signed_in(client, stores, role)
            all_events.append(await stack.enter_async_context(followed(port, query, account.headers[TOKEN])))
        executed.clear()
        await create_catalog_item(stores, is_premium=True, asset_url="https://assets.example/1")
        told = [await events.next() for events in all_events]

    assert [each["kind"] for each in told] == ["CREATED"] * len(roles)
    assert len(executed) == executions
    if query == ITEMS_ONLY:
        assert [each["item"]["assetUrl"] is None for each in told] == [role == "user" for role in roles]


async def test_those_who_resume_share_with_the_others(port: int, stores: Stores, executed: list[object]) -> None:
    async with followed(port, CHANGES) as events:
        await create_catalog_item(stores)
        after = (await events.next())["resumeToken"]
        async with followed(port, CHANGES, after=after) as resumed:
            executed.clear()
            await create_catalog_item(stores)
            assert await events.next() == await resumed.next()

    assert len(executed) == 1


async def test_many_of_one_question_cost_one_execution(app: Starlette, port: int, stores: Stores) -> None:
    async with contextlib.AsyncExitStack() as stack:
        all_events = [await stack.enter_async_context(followed(port, CHANGES)) for _ in range(5)]
        with structlog.testing.capture_logs():
            statements: list[str] = []
            app.state.stores.statements.listeners.append(statements.append)
            try:
                item = await create_catalog_item(stores)
                told = [await events.next() for events in all_events]
            finally:
                app.state.stores.statements.listeners.remove(statements.append)

    assert [each["itemId"] for each in told] == [gid(item)] * 5
    assert len([each for each in statements if "catalog_items" in each]) < 5  # one, which may have been sent again
    assert len({each["resumeToken"] for each in told}) == 1


DESIGNS_ONLY = "subscription { designsChanged { kind changedFields design { name owner { firstName } } } }"
WITH_ITEMS = "subscription { designsChanged { kind design { layers { catalogItem { assetUrl } } } } }"
WITH_AVATARS = "subscription { designsChanged { kind design { avatar { measurements { height } } } } }"
WITH_BOTH = "subscription { designsChanged { kind design { layers { catalogItem { brand { email } } } } } }"


@pytest.mark.parametrize(
    ("query", "executions"),
    [(DESIGNS_ONLY, 5), (WITH_ITEMS, 6), (WITH_AVATARS, 7), (WITH_BOTH, 7)],
)
async def test_accounts_share_what_they_see_of_others_designs(
    client: httpx.AsyncClient, port: int, stores: Stores, executed: list[object], query: str, executions: int
) -> None:
    """Two strangers each, who are users and brands; nobody; and by themselves, the owner, and an admin who writes."""
    owner, account = await signed_in(client, stores)
    author, _ = await signed_in(client, stores, "admin")
    design = await create_design(stores, user_id=account.id, status="published")
    strangers = [await signed_in(client, stores, role) for role in ("user", "user", "brand", "brand")]
    viewers = [None, *(each.headers[TOKEN] for each in (owner, author, *(each for each, _ in strangers)))]
    async with contextlib.AsyncExitStack() as stack:
        all_events = [await stack.enter_async_context(followed(port, query, token)) for token in viewers]
        executed.clear()
        await changed(author, "updateDesign", id=gid(design), expectedVersion=1, name="Another")
        told = [await events.next() for events in all_events]

    assert [each["kind"] for each in told] == ["UPDATED"] * len(viewers)
    assert len(executed) == executions
