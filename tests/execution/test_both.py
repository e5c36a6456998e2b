"""That the comparison of every test's operations sees what it is there for."""

from __future__ import annotations

import dataclasses
from typing import Any

import httpx
import pytest
from graphql import DocumentNode, ExecutionResult, GraphQLError

from api.fields.context import Context
from api.ids import encode_id
from models import new_id
from tests.execution import both
from tests.execution.both import Both
from tests.support.factories.catalog import create_catalog_item
from tests.support.graphql import execute, gid, respond
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio
ITEMS = "{ catalogItems { nodes { id } } }"
CREATE = """mutation ($input: CreateDesignInput!) {
    createDesign(input: $input) { design { id owner { id } } errors { message } } }"""


@pytest.fixture
def noting(both_executors: Both, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What notes differences, each time; those that a test brings about are not held against it."""
    if both_executors.mode not in ("both", "each"):
        pytest.skip("nothing is compared in this mode")
    monkeypatch.setattr(both_executors, "each", True)
    yield both_executors
    both_executors.differences.clear()


def changed(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Let graphql-core give another response."""
    on_core = both._on_core

    async def on_other_core(document: DocumentNode, **given: Any) -> ExecutionResult:
        result = await on_core(document, **given)
        return ExecutionResult(**{"data": result.data, "errors": result.errors} | change(result))

    monkeypatch.setattr(both, "_on_core", on_other_core)


async def test_queries_and_mutations_are_compared(client: httpx.AsyncClient, noting: Both) -> None:
    before = noting.compared
    await execute(client, ITEMS)
    await respond(client, CREATE, input={"name": "A design"})
    assert noting.compared == before + 2
    assert noting.differences == []


@pytest.mark.parametrize(
    "change",
    [
        lambda result: {"data": {"catalogItems": {"nodes": [None]}}},
        lambda result: {"data": None},
        lambda result: {"errors": [GraphQLError("More", path=["catalogItems"])]},
    ],
)
async def test_difference_is_noted(
    client: httpx.AsyncClient, noting: Both, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    changed(monkeypatch, change)
    await execute(client, ITEMS)
    assert len(noting.differences) == 1


async def test_payloads_are_resolved_again_and_nothing_is_done_twice(
    client: httpx.AsyncClient, stores: Any, noting: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, _ = await signed_in(client, stores)
    seen = []

    def note(result: ExecutionResult) -> dict[str, Any]:
        seen.append(result.data)
        return {}

    changed(monkeypatch, note)
    made = await execute(user, CREATE, input={"name": "A design"})
    assert seen == [made]
    assert made["createDesign"]["design"]["owner"] is not None
    designs = await execute(user, "{ viewer { designs { totalCount } } }")
    assert designs == {"viewer": {"designs": {"totalCount": 1}}}
    assert noting.differences == []


async def test_marked_tests_are_left_alone(client: httpx.AsyncClient, noting: Both) -> None:
    before = noting.compared
    noting.comparing = False
    await execute(client, ITEMS)
    assert noting.compared == before


def test_contexts_share_nothing_that_was_loaded() -> None:
    names = {field.name for field in dataclasses.fields(Context)}
    assert {"_loaders", "headers"} <= names


async def test_what_is_alike_is_compared_once(
    client: httpx.AsyncClient, stores: Any, noting: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr(noting, "each", False)
    monkeypatch.setattr(noting, "_kinds", set())
    query = "query ($id: ID!, $with: Boolean!) { catalogItem(id: $id) { id name description @include(if: $with) } }"
    silk, wool, plain = [gid(await create_catalog_item(stores, description=text)) for text in ("Soft", "Warm", None)]
    missing = encode_id("CatalogItem", new_id())

    async def compared(id: str, with_: bool = True) -> int:
        before = noting.compared
        await respond(client, query, **{"id": id, "with": with_})
        return noting.compared - before

    # then the same of another object is alike; a null for a text, nothing, another variable and an error are not
    assert [await compared(id) for id in (silk, wool, plain, missing, silk)] == [1, 0, 1, 1, 0]
    assert [await compared(silk, False), await compared("no id"), await compared(silk)] == [1, 1, 0]
    # nor is what somebody else asks
    user, _ = await signed_in(client, stores)
    before = noting.compared
    await respond(user, query, **{"id": silk, "with": True})
    assert noting.compared == before + 1
