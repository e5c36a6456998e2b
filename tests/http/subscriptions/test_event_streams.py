"""GraphQL as server-sent events: the distinct connections mode of the graphql-sse protocol."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
import structlog

from api.http.request import EVENT_STREAM
from api.stores.stores import Stores
from tests.support.factories.catalog import create_catalog_item
from tests.support.graphql import gid
from tests.support.signing_in import signed_in, with_token

pytestmark = pytest.mark.anyio

STREAM = {"accept": EVENT_STREAM}
ITEM = "query ($id: ID!) { catalogItem(id: $id) { name } }"


def events(response: httpx.Response) -> list[tuple[str, Any]]:
    """The events of a stream, with their data."""
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    found = []
    for block in response.text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        text = data.removeprefix("data:").strip()
        found.append((name.removeprefix("event: "), orjson.loads(text) if text else None))
    return found


async def test_a_query_is_one_event_and_its_end(client: httpx.AsyncClient, stores: Stores) -> None:
    item = await create_catalog_item(stores, name="Silk\nand\u2028satin")

    response = await client.post("/graphql", json={"query": ITEM, "variables": {"id": gid(item)}}, headers=STREAM)

    assert response.status_code == 200
    assert events(response) == [
        ("next", {"data": {"catalogItem": {"name": "Silk\nand\u2028satin"}}}),
        ("complete", None),
    ]


async def test_a_mutation_is_done(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, _ = await signed_in(client, stores)
    query = 'mutation { updateProfile(input: {firstName: "Ada"}) { user { firstName } } }'

    response = await ada.post("/graphql", json={"query": query}, headers=STREAM)

    assert events(response)[0] == ("next", {"data": {"updateProfile": {"user": {"firstName": "Ada"}}}})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": ITEM}, "BAD_VARIABLES"),
        ({"documentId": "sha256:" + "0" * 64}, "PERSISTED_QUERY_NOT_FOUND"),
        ({"query": "{" + "a: __typename " * 1001 + "}"}, "TOO_COMPLEX"),
    ],
)
async def test_a_refused_operation_is_told_in_the_stream(
    client: httpx.AsyncClient, body: dict[str, Any], code: str
) -> None:
    """A status would leave a browser's client without the reason."""
    with structlog.testing.capture_logs() as logs:
        response = await client.post("/graphql", json=body, headers=STREAM)

    assert response.status_code == 200
    (name, result), end = events(response)
    assert (name, end) == ("next", ("complete", None))
    assert [error["extensions"]["code"] for error in result["errors"]] == [code]
    assert "data" not in result
    assert [line["status"] for line in logs if line["event"] == "request"] == [200]


async def test_what_is_no_request_has_a_status(client: httpx.AsyncClient) -> None:
    for request, status in (
        (client.post("/graphql", content=b"{", headers={**STREAM, "content-type": "application/json"}), 400),
        (client.post("/graphql", content=b"{}", headers={**STREAM, "content-type": "text/plain"}), 415),
        (client.post("/graphql", json=[{"query": "{ __typename }"}], headers=STREAM), 400),
        (with_token(client, "none").post("/graphql", json={"query": "{ __typename }"}, headers=STREAM), 401),
        # any page can open such a stream without asking
        (client.get("/graphql", params={"query": "{ __typename }"}, headers=STREAM), 400),
    ):
        response = await request
        assert response.status_code == status
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        assert response.json()["errors"]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/event-stream, application/json;q=0.5", EVENT_STREAM),
        ("application/json, text/event-stream", "application/json"),
        ("application/graphql-response+json, text/event-stream, multipart/mixed", "application/graphql-response+json"),
        ("text/event-stream;q=0, */*", "application/json"),
        ("*/*", "application/json"),
    ],
)
async def test_whoever_takes_both_says_which_first(client: httpx.AsyncClient, accept: str, content_type: str) -> None:
    response = await client.post("/graphql", json={"query": "{ __typename }"}, headers={"accept": accept})

    assert response.headers["content-type"].partition(";")[0] == content_type
