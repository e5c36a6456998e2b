"""Large answers are written in pieces: the same bytes, with turns of the event loop in between."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from api.execution import plan
from api.execution.turns import Turns
from api.http import endpoint
from api.http.responses import json_pieces
from api.http.responses.json_pieces import written
from api.stores.stores import Stores
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user
from tests.support.graphql import execute, sent

pytestmark = pytest.mark.anyio

QUERY = (
    "{ designs(first: 3) { nodes { name layers { layerId position { x y } } metadata { tags } owner { firstName } } } }"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=6) | st.dictionaries(st.text(max_size=3), parts, max_size=4),
    max_leaves=60,
)


@pytest.fixture
async def designs(stores: Stores) -> None:
    """Three designs of four layers."""
    owner = await create_user(stores, first_name="Zoë")
    layers = [{"id": str(number), "type": "fabric", "position": {"x": 1.0, "y": 2.0, "z": 3.0}} for number in range(4)]
    for number in range(3):
        await create_design(stores, user_id=owner.id, name=f"Evening {number}", status="published", layers=layers)


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every answer is written in pieces of a few values. The answers that were."""
    seen: list[Any] = []

    async def noted(body: Any, turns: Turns) -> bytes:
        seen.append(body)
        return await written(body, turns)

    monkeypatch.setattr(endpoint, "LARGE", 0)
    monkeypatch.setattr(endpoint, "written", noted)
    monkeypatch.setattr(json_pieces, "PIECE", 5)
    monkeypatch.setattr(json_pieces, "STEP", 1)
    return seen


@given(JSON, st.integers(1, 40))
def test_pieces_of_any_size_are_the_same_json(value: Any, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_pieces, "PIECE", piece)
        patch.setattr(json_pieces, "STEP", 1)

        assert asyncio.run(written(value, Turns())) == orjson.dumps(value)


async def test_others_have_turns_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_pieces, "PIECE", 100)
    monkeypatch.setattr(json_pieces, "STEP", 100)
    work = asyncio.create_task(written({"data": [{"number": number} for number in range(1000)]}, Turns()))
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1

    assert turns > 20


async def test_what_json_cant_express_fails_as_it_does_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_pieces, "PIECE", 2)

    with pytest.raises(TypeError, match="Type is not JSON serializable: object"):
        await written({"data": [1, 2, 3, object()]}, Turns())


@pytest.mark.usefixtures("designs")
async def test_an_answer_in_pieces_is_the_same(client: httpx.AsyncClient, in_pieces: list[Any]) -> None:
    answers = []
    for large in (10**9, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(endpoint, "LARGE", large)
            answers.append(await client.post("/graphql", json={"query": QUERY}))
    at_once, pieces = answers

    assert len(in_pieces) == 1
    assert pieces.content == at_once.content
    assert len(pieces.json()["data"]["designs"]["nodes"]) == 3
    assert pieces.headers["content-length"] == str(len(at_once.content)) == at_once.headers["content-length"]


@pytest.mark.usefixtures("designs")
async def test_batches_and_compressed_answers_in_pieces_are_whole(
    client: httpx.AsyncClient, in_pieces: list[Any]
) -> None:
    one = (await client.post("/graphql", json={"query": QUERY})).json()
    batch = await client.post("/graphql", json=[{"query": QUERY}, {"query": "{ nothing }"}, {"query": QUERY}])
    headers = {"accept-encoding": "gzip"}
    async with client.stream("POST", "/graphql", json=[{"query": QUERY}] * 9, headers=headers) as response:
        raw = b"".join([chunk async for chunk in response.aiter_raw()])

    assert len(in_pieces) == 3
    first, wrong, last = batch.json()
    assert (first["data"], last["data"]) == (one["data"], one["data"])
    assert wrong["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert response.headers["content-encoding"] == "gzip"
    assert [each["data"] for each in orjson.loads(gzip.decompress(raw))] == [one["data"]] * 9


async def test_a_large_level_loads_what_it_needs_together(
    client: httpx.AsyncClient, app: Starlette, designs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = """{ designs(first: 3) { nodes { metadata { tags } a: owner { firstName }
        layers { position { x } } b: owner { lastName } } } }"""
    with sent(app) as small:
        expected = await execute(client, query)

    monkeypatch.setattr(plan, "PIECE", 1)
    with sent(app) as large:
        answer = await execute(client, query)

    assert answer == expected
    assert large.counts == small.counts == (1, 1)
