"""That the comparison of every test's operations sees what it is there for."""

from __future__ import annotations

import dataclasses
from typing import Any

import httpx
import pytest
from graphql import DocumentNode, ExecutionResult, GraphQLError

from api.fields.context import Context
from tests.execution import both
from tests.execution.both import Both
from tests.support.graphql import execute, respond
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio
ITEMS = "{ catalogItems { nodes { id } } }"
CREATE = """mutation ($input: CreateDesignInput!) {
    createDesign(input: $input) { design { id owner { id } } errors { message } } }"""


@pytest.fixture
def noting(both_executors: Both) -> Any:
    """What notes differences; those that a test brings about are not held against it."""
    if both_executors.mode != "both":
        pytest.skip("nothing is compared in this mode")
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
