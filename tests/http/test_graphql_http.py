"""GraphQL over HTTP: media types, status codes, what is told of failures and what is logged."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import httpx
import pytest
import structlog
from starlette.applications import Starlette

from api.config.settings import Settings
from api.stores.stores import Stores
from tests.support.applications import running
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user
from tests.support.graphql import execute, gid, respond
from tests.support.signing_in import as_admin

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(admin: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client that may see everything."""
    return admin


JSON, RESPONSE_JSON = "application/json", "application/graphql-response+json"
COUNT = "{ users { totalCount } }"
COUNTED = {"data": {"users": {"totalCount": 0}}}


async def post(client: httpx.AsyncClient, content: Any, **headers: str) -> httpx.Response:
    """A POST of this text, or of this value as JSON."""
    body = content if isinstance(content, (str, bytes)) else json.dumps(content)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post("/graphql", content=body, headers={"content-type": JSON} | names)


async def test_post(client: httpx.AsyncClient) -> None:
    response = await post(client, {"query": COUNT})

    assert (response.status_code, response.json()) == (200, COUNTED)
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["vary"] == "accept, accept-encoding"
    assert UUID(response.headers["x-request-id"]).version == 7


async def test_every_request_has_an_id_of_its_own(client: httpx.AsyncClient) -> None:
    responses = [await post(client, {"query": COUNT}) for _ in range(3)]

    assert len({response.headers["x-request-id"] for response in responses}) == 3


@pytest.mark.parametrize(
    "content_type", [JSON, "application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"]
)
async def test_content_types(client: httpx.AsyncClient, content_type: str) -> None:
    response = await post(client, {"query": COUNT}, content_type=content_type)

    assert (response.status_code, response.json()) == (200, COUNTED)


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/graphql"],
)
async def test_other_content_types_are_refused(client: httpx.AsyncClient, content_type: str) -> None:
    response = await post(client, {"query": COUNT}, content_type=content_type)

    assert response.status_code == 415
    assert response.json() == {
        "errors": [{"message": "Content-Type must be application/json.", "extensions": {"code": "BAD_REQUEST"}}]
    }


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        ("APPLICATION/JSON", JSON),
        ("application/json; charset=utf-8", JSON),
        (RESPONSE_JSON, RESPONSE_JSON),
        (f"{RESPONSE_JSON}, {JSON}", RESPONSE_JSON),
        (f"{RESPONSE_JSON}; charset=utf-8, {JSON}; charset=utf-8", RESPONSE_JSON),
        (f"{JSON}, {RESPONSE_JSON}", JSON),
        (f"{JSON};q=0.5, {RESPONSE_JSON};q=0.9", RESPONSE_JSON),
        (f"{RESPONSE_JSON};q=0, */*", JSON),
        ("text/html, */*;q=0.1", JSON),
        (f"{RESPONSE_JSON};q=nonsense, {JSON};q=0.1", JSON),
    ],
)
async def test_accept(client: httpx.AsyncClient, accept: str, answered: str) -> None:
    response = await post(client, {"query": COUNT}, accept=accept)

    assert (response.status_code, response.json()) == (200, COUNTED)
    assert response.headers["content-type"] == f"{answered}; charset=utf-8"


@pytest.mark.parametrize("accept", ["text/html", "text/plain", f"{JSON};q=0", "image/*", "nonsense", ";;,,"])
async def test_what_nobody_can_answer(client: httpx.AsyncClient, accept: str) -> None:
    response = await post(client, {"query": COUNT}, accept=accept)

    assert response.status_code == 406
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}


INVALID = "The body is not valid JSON at line 1, column"


def code_of(message: str) -> str:
    """Of a request whose document may be one, or of one that isn't any."""
    return "OPERATION_RESOLUTION_FAILURE" if message.startswith("The document has no operation") else "BAD_REQUEST"


BODIES = {
    "empty": ("", f"{INVALID} 1."),
    "no JSON": ("{", f"{INVALID} 2."),
    "half a character": ('{"query": "\\ud800"}', f"{INVALID} 12."),
    "not UTF-8": (
        b'{"query": "\xff"}',
        "The body is not UTF-8.",
    ),
    "too deep": ("[" * 100_000, f"{INVALID} 1026."),
    "5,000 digits": (
        f'{{"query": "{{ users {{ totalCount }} }}", "variables": {{"n": {"9" * 5000}}}}}',
        f"{INVALID} 58.",
    ),
    "beyond any float": (
        '{"variables": 1e400}',
        f"{INVALID} 15.",
    ),
    "not a number": (
        '{"variables": NaN}',
        f"{INVALID} 15.",
    ),
    "a character's first half": (
        b'{"query": "\xc3',
        "The body is not UTF-8.",
    ),
    "number": ("5", "The body must be a JSON object with a query."),
    "true": ("true", "The body must be a JSON object with a query."),
    "text": ('"x"', "The body must be a JSON object with a query."),
    "null": ("null", "The body must be a JSON object with a query."),
    "no query": ({}, "query must be a text with a GraphQL document."),
    "query null": ({"query": None}, "query must be a text with a GraphQL document."),
    "query empty": ({"query": " \n"}, "query must be a text with a GraphQL document."),
    "query number": ({"query": 5}, "query must be a text with a GraphQL document."),
    "variables list": ({"query": COUNT, "variables": []}, "variables must be an object."),
    "variables text": ({"query": COUNT, "variables": "{}"}, "variables must be an object."),
    "name number": ({"query": COUNT, "operationName": 5}, "operationName must be a text."),
    "extensions list": ({"query": COUNT, "extensions": []}, "extensions must be an object."),
    "unknown name": ({"query": COUNT, "operationName": "X"}, "The document has no operation of this name."),
    "only fragments": ({"query": "fragment F on User { id }"}, "The document has no operation."),
}


@pytest.mark.parametrize(("body", "message"), BODIES.values(), ids=BODIES.keys())
async def test_what_is_no_request(client: httpx.AsyncClient, body: Any, message: str) -> None:
    for accept in (JSON, RESPONSE_JSON):
        response = await post(client, body, accept=accept)

        assert response.status_code == 400
        assert response.headers["content-type"] == f"{accept}; charset=utf-8"
        assert response.json() == {"errors": [{"message": message, "extensions": {"code": code_of(message)}}]}


async def test_nulls_are_as_if_absent(client: httpx.AsyncClient) -> None:
    body = {"query": COUNT, "variables": None, "operationName": None, "extensions": None}

    assert (await post(client, body)).json() == COUNTED
    assert (await post(client, body | {"operationName": "", "extensions": {}, "unknown": 1})).json() == COUNTED


async def test_a_body_beyond_the_limit(client: httpx.AsyncClient) -> None:
    comment = "#" * (1024 * 1024)

    response = await post(client, {"query": COUNT + comment})

    assert response.status_code == 413
    assert response.json()["errors"][0]["message"] == "The body has more than 1048576 bytes."
    assert (await post(client, {"query": COUNT, "extensions": {"padding": comment[:-1000]}})).json() == COUNTED


async def test_a_client_that_leaves_while_it_sends(app: Starlette) -> None:
    """Straight to ASGI: httpx always sends what it has begun."""

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"qu', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []
    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "app": app}

    with structlog.testing.capture_logs() as logs:
        await app({**scope, "headers": [(b"content-type", b"application/json")]}, receive, send)

    assert sent[0]["status"] == 499
    assert [(entry["event"], entry["status"]) for entry in logs] == [("request", 499)]


async def test_get(client: httpx.AsyncClient, stores: Stores) -> None:
    user = await create_user(stores)
    query = "query A($id: ID!) { user(id: $id) { id } } query B { users { totalCount } }"

    response = await client.get(
        "/graphql",
        params={"query": query, "variables": json.dumps({"id": gid(user)}), "operationName": "A", "extensions": "{}"},
    )

    assert (response.status_code, response.json()) == (200, {"data": {"user": {"id": gid(user)}}})
    assert (await client.get("/graphql", params={"query": query, "operationName": "B"})).json() == {
        "data": {"users": {"totalCount": 1}}
    }


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "query must be a text with a GraphQL document."),
        ({"query": ""}, "query must be a text with a GraphQL document."),
        (
            {"query": COUNT, "variables": ""},
            "variables is not valid JSON at line 1, column 1.",
        ),
        (
            {"query": COUNT, "variables": "nonsense"},
            "variables is not valid JSON at line 1, column 1.",
        ),
        ({"query": COUNT, "variables": "[]"}, "variables must be an object."),
        (
            {"query": COUNT, "extensions": "{"},
            "extensions is not valid JSON at line 1, column 2.",
        ),
        ({"query": COUNT, "operationName": "X"}, "The document has no operation of this name."),
    ],
)
async def test_get_without_a_request(client: httpx.AsyncClient, params: dict[str, str], message: str) -> None:
    response = await client.get("/graphql", params=params)

    assert response.status_code == 400
    assert response.json() == {"errors": [{"message": message, "extensions": {"code": code_of(message)}}]}


async def test_mutations_are_not_for_get(client: httpx.AsyncClient) -> None:
    response = await client.get("/graphql", params={"query": "mutation { anything }"})

    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["errors"][0]["message"] == "Mutations are sent with POST."


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, "/graphql", json={"query": COUNT})

    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", {}, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(id: null) { id } }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($first: Int!) { users(first: $first) { totalCount } }", {}, "BAD_VARIABLES"),
        ("query ($first: Int) { users(first: $first) { totalCount } }", {"first": "x"}, "BAD_VARIABLES"),
        ("query A { users { totalCount } } query B { users { totalCount } }", {}, "OPERATION_RESOLUTION_FAILURE"),
    ],
)
async def test_documents_that_are_not_executed(
    client: httpx.AsyncClient, query: str, variables: dict[str, Any], code: str
) -> None:
    body = {"query": query, "variables": variables}

    old, new = await post(client, body, accept=JSON), await post(client, body, accept=RESPONSE_JSON)

    assert (old.status_code, new.status_code) == (200, 400)
    assert old.json() == new.json()
    assert list(old.json()) == ["errors"]
    for error in old.json()["errors"]:
        assert error["extensions"] == {"code": code}
        assert "path" not in error


async def test_errors_of_fields_come_with_data(client: httpx.AsyncClient, stores: Stores) -> None:
    user = await create_user(stores)
    query = f'{{ good: user(id: "{gid(user)}") {{ id }} bad: user(id: "nonsense") {{ id }} }}'

    for accept in (JSON, RESPONSE_JSON):
        response = await post(client, {"query": query}, accept=accept)

        assert response.status_code == 200
        assert response.json() == {
            "data": {"good": {"id": gid(user)}, "bad": None},
            "errors": [
                {
                    "message": "This is not a valid id.",
                    "locations": [{"line": 1, "column": query.index("bad") + 1}],
                    "path": ["bad"],
                    "extensions": {"code": "BAD_ID"},
                }
            ],
        }


async def test_an_argument_that_a_variable_leaves_null(client: httpx.AsyncClient) -> None:
    query = "query ($d: OrderDirection) { users(orderBy: {field: NAME, direction: $d}) { totalCount } }"

    with structlog.testing.capture_logs() as logs:
        body = await respond(client, query, d=None)

    assert [error["extensions"] for error in body["errors"]] == [{"code": "BAD_VARIABLES"}]
    assert [entry["event"] for entry in logs] == ["request"]


async def test_one_log_line_a_request(client: httpx.AsyncClient, stores: Stores) -> None:
    owner = await create_user(stores)
    await create_design(stores, user_id=owner.id)
    query = "query Named { designs { nodes { owner { id } } totalCount } }"

    with structlog.testing.capture_logs() as logs:
        good = await post(client, {"query": query, "operationName": "Named"})
        bad = await post(client, "nonsense")

    assert [entry.pop("ms") > 0 for entry in logs] == [True, True]
    assert [entry.pop("viewer") is None for entry in logs] == [False, True]
    assert logs == [
        {
            "event": "request",
            "log_level": "info",
            "operation": "Named",
            "status": 200,
            "errors": 0,
            "sql": 1,
            "mongo": 2,
            "request_id": good.headers["x-request-id"],
        },
        {
            "event": "request",
            "log_level": "info",
            "operation": None,
            "status": 400,
            "errors": 1,
            "sql": 0,
            "mongo": 0,
            "request_id": bad.headers["x-request-id"],
        },
    ]


@pytest.mark.parametrize(
    ("body", "logged"),
    [
        ({"query": COUNT}, None),
        ({"query": f"query Only {COUNT}"}, "Only"),
        ({"query": f"query A {COUNT} query B {COUNT}", "operationName": "B"}, "B"),
        ({"query": f"query {'N' * 1000} {COUNT}"}, "N" * 100),
        ({"query": "query Refused { nothing }"}, "Refused"),
        ({"query": f"query A {COUNT}", "operationName": "secret"}, None),
    ],
)
async def test_the_log_names_the_operation(client: httpx.AsyncClient, body: Any, logged: str | None) -> None:
    with structlog.testing.capture_logs() as logs:
        await post(client, body)

    assert [entry["operation"] for entry in logs] == [logged]


async def test_concurrent_requests_count_for_themselves(settings: Settings, clean_stores: None) -> None:
    queries = {"{ users { nodes { id } totalCount } }": (2, 0), "{ designs { nodes { id } } }": (0, 1), COUNT: (1, 0)}

    async with running(settings, coalescing=False) as (app, client), as_admin(client, app) as admin:
        await create_design(app.state.stores)
        with structlog.testing.capture_logs() as logs:
            await asyncio.gather(*(execute(admin, query) for query in [*queries] * 5))

    assert sorted((entry["sql"], entry["mongo"]) for entry in logs) == sorted([*queries.values()] * 5)
