"""Whatever is sent, the answer is a GraphQL response: no failure of ours, nothing of the inside.

The suite sends a few; `FUZZ_EXAMPLES=20000 uv run pytest tests/http/test_fuzzing.py` sends many, and others each time.
"""

from __future__ import annotations

import os
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, example, given
from hypothesis import settings as options
from hypothesis import strategies as st
from sqlalchemy import update

from api.http.request import JSON, RESPONSE_JSON
from models import User
from tests.support.requests import fuzzing
from tests.support.world import VIEWERS, World

pytestmark = pytest.mark.anyio

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
some = options(
    max_examples=EXAMPLES or 40,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    # the stores change with every example, so that a smaller one may no longer fail
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[*HealthCheck],
)
viewers = st.sampled_from(["owner", "admin", "anonymous", "owner"])
types = st.sampled_from([JSON, RESPONSE_JSON])


async def check(world: World, viewer: str, accept: str, content: bytes) -> None:
    """Send it. Who has signed out, or is deleted by now, comes back and sends it again."""
    headers = {"content-type": JSON, "accept": accept}
    response = await world.viewer(viewer).post("/graphql", content=content, headers=headers)
    fuzzing.assert_well_formed(response)
    if response.status_code == 401:
        account = VIEWERS[viewer]
        assert account is not None
        async with world.stores.engine.begin() as connection:
            alive = {"deleted_at": None, "is_active": True, "role": "admin" if viewer == "admin" else "user"}
            await connection.execute(update(User).where(User.id == world.users[account].id).values(**alive))
        world.clients[account] = await world.sign_in_anew(viewer)
        response = await world.viewer(viewer).post("/graphql", content=content, headers=headers)
        assert response.status_code != 401
        fuzzing.assert_well_formed(response)


@some
@given(text=fuzzing.operations, viewer=viewers, accept=types)
async def test_operations_of_the_schema(world: World, text: str, viewer: str, accept: str) -> None:
    await check(world, viewer, accept, orjson.dumps({"query": fuzzing.real(text, world)}))


@some
@given(text=fuzzing.documents(), viewer=viewers, accept=types)
async def test_broken_documents(world: World, text: str, viewer: str, accept: str) -> None:
    await check(world, viewer, accept, orjson.dumps({"query": fuzzing.real(text, world)}))


@some
@given(query=st.sampled_from(fuzzing.VARIABLES), x=fuzzing.inputs, y=fuzzing.inputs, n=fuzzing.inputs, viewer=viewers)
async def test_variables(world: World, query: str, x: Any, y: Any, n: Any, viewer: str) -> None:
    variables = {"x": x, "y": y, "n": n, "s": x if isinstance(x, str) else "dress"}
    content = orjson.dumps({"query": query, "variables": variables}, default=str).decode()
    await check(world, viewer, JSON, fuzzing.real(content, world).encode())


@some
@given(
    body=fuzzing.values
    | st.fixed_dictionaries(
        {"query": st.just("{ viewer { id } }")},
        optional=dict.fromkeys(("variables", "operationName", "extensions", "documentId"), fuzzing.values),
    )
)
async def test_json_of_any_shape(world: World, body: Any) -> None:
    await check(world, "owner", RESPONSE_JSON, orjson.dumps(body))


@some
@given(content=st.binary(max_size=200))
@example(content=b"\xef\xbb\xbf{}")
async def test_bytes(world: World, content: bytes) -> None:
    await check(world, "anonymous", JSON, content)
