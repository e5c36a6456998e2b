"""GraphQL over HTTP, where servers commonly go wrong: forms, batches, bodies of every kind, ids of requests."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any
from uuid import UUID

import anyio
import asyncpg
import httpx
import pytest
import structlog
from starlette.applications import Starlette

from api.config.settings import Settings
from api.http.application import create_app
from api.stores.stores import Stores
from models import new_id
from tests.support.applications import running
from tests.support.factories.users import create_user
from tests.support.graphql import gid
from tests.support.signing_in import access_token, with_token
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

JSON, RESPONSE_JSON = "application/json", "application/graphql-response+json"
VIEWER = "{ viewer { id } }"
NOBODY = {"data": {"viewer": None}}
MIB = 1024 * 1024
INFINITE = "variables is not valid JSON at line 1, column 6."
BROWSERS = {
    "a form": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "an image": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "a script": "*/*",
}
"""What browsers accept for what a page may request of another site without asking."""


def refused(message: str, code: str = "BAD_REQUEST") -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": code}}]}


async def post(client: httpx.AsyncClient, body: Any, **headers: str) -> httpx.Response:
    """A POST of this value as JSON, or of these bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post("/graphql", content=content, headers={"content-type": JSON} | names)


@pytest.mark.parametrize(
    ("query", "code", "error"),
    [
        (
            "{",
            "GRAPHQL_PARSE_FAILED",
            {"message": "Syntax Error: Expected Name, found <EOF>.", "locations": [{"line": 1, "column": 2}]},
        ),
        (
            "query A { viewer { id } } query B { viewer { id } }",
            "OPERATION_RESOLUTION_FAILURE",
            {
                "message": "operationName must say which of the operations to run.",
                "locations": [{"line": 1, "column": 1}, {"line": 1, "column": 27}],
            },
        ),
        (
            "{ users(first: 1e400) { totalCount } }",
            "GRAPHQL_VALIDATION_FAILED",
            {
                "message": "Int cannot represent non-integer value.",
                "locations": [{"line": 1, "column": 16}],
            },
        ),
        (
            f"{{ users(first: {'9' * 5000}) {{ totalCount }} }}",
            "GRAPHQL_VALIDATION_FAILED",
            {"message": "A number in the document has too many digits.", "locations": [{"line": 1, "column": 16}]},
        ),
        (
            '{ user(id: "\\ud800") { id } }',
            "GRAPHQL_PARSE_FAILED",
            {
                "message": "Syntax Error: Invalid Unicode escape sequence.",
                "locations": [{"line": 1, "column": 13}],
            },
        ),
    ],
    ids=["syntax", "two operations", "1e400", "5,000 digits", "half a character"],
)
async def test_what_is_not_executed_has_no_data(
    client: httpx.AsyncClient, query: str, code: str, error: dict[str, Any]
) -> None:
    expected = {"errors": [{**error, "extensions": {"code": code}}]}

    with structlog.testing.capture_logs() as logs:
        old, new = [await post(client, {"query": query}, accept=accept) for accept in (JSON, RESPONSE_JSON)]

    assert (old.status_code, old.json()) == (200, expected)
    assert (new.status_code, new.json()) == (400, expected)
    assert [entry["event"] for entry in logs] == ["request", "request"]


async def test_a_compressed_body_is_refused(client: httpx.AsyncClient) -> None:
    body = gzip.compress(json.dumps({"query": VIEWER}).encode())

    response = await post(client, body, content_encoding="gzip")

    assert (response.status_code, response.json()) == (
        415,
        refused("The body must be sent without a Content-Encoding."),
    )
    assert response.headers["accept-encoding"] == "identity"
    assert (await post(client, {"query": VIEWER}, content_encoding="identity")).json() == NOBODY
    # and one that doesn't say that it is compressed
    assert (await post(client, body)).json() == refused("The body is not UTF-8.")


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", '"iso-8859-1"', ""])
async def test_other_charsets_are_refused(client: httpx.AsyncClient, charset: str) -> None:
    response = await post(client, {"query": VIEWER}, content_type=f"{JSON}; charset={charset}")

    assert (response.status_code, response.json()) == (415, refused("The charset of application/json is UTF-8."))


async def test_text_is_utf_8(client: httpx.AsyncClient) -> None:
    query = "query ($filter: UserFilter) { users(filter: $filter) { totalCount } }"
    body = '{"query": "' + query + '", "variables": {"filter": {"🏃é": 1}}}'

    response = await post(client, body.encode())

    assert response.json()["errors"][0]["message"].endswith("not to include unknown field '🏃é'.")
    assert "🏃é".encode() in response.content


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
async def test_a_large_body_is_not_read(app: Starlette, declared: bool) -> None:
    """Straight to ASGI, which tells how much was asked for."""
    read, sent = 0, list[Any]()

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b" " * 65536, "more_body": read < 800}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    if declared:
        headers.append((b"content-length", str(800 * 65536).encode()))
    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "app": app, "headers": headers}

    await app(scope, receive, send)

    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"]) == refused("The body has more than 1048576 bytes.")
    assert read == (0 if declared else MIB // 65536 + 1)


@pytest.mark.parametrize("accept", BROWSERS.values(), ids=BROWSERS.keys())
async def test_what_a_page_of_another_site_can_send(settings: Settings, clean_stores: None, accept: str) -> None:
    """A page may send these without asking: GET, and POST of three media types or none."""
    # the explorer would show a form's query, and not run it either
    async with running(settings, explorer=False) as (_, client):
        with structlog.testing.capture_logs() as logs:
            answers = [await client.get("/graphql", params={"query": VIEWER}, headers={"accept": accept})]
            kinds = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "")
            answers += [await post(client, {"query": VIEWER}, content_type=kind, accept=accept) for kind in kinds]

    assert [answer.status_code for answer in answers] == [400, 415, 415, 415, 415]
    assert answers[0].json() == refused(
        "A GET names application/json or application/graphql-response+json in its Accept header: "
        "any page's form sends the rest."
    )
    assert answers[1].json() == answers[4].json() == refused("Content-Type must be application/json.")
    assert [(entry["sql"], entry["mongo"]) for entry in logs] == [(0, 0)] * 5


@pytest.mark.parametrize(
    "headers",
    [{"accept": JSON}, {"accept": RESPONSE_JSON}, {"apollo-require-preflight": "true"}, {"x-requested-with": "fetch"}],
)
async def test_a_get_that_a_page_of_another_site_cannot_send(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.get("/graphql", params={"query": VIEWER}, headers=headers)

    assert (answer.status_code, answer.json()) == (200, NOBODY)


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("query=%FF", 400, "The query string is not UTF-8."),
        ("query={viewer{id}}&query={viewer{email}}", 400, "query is given twice."),
        ("query={viewer{id}}&variables={%22x%22:1e400}", 400, INFINITE),
    ],
    ids=["UTF-8", "twice", "1e400"],
)
async def test_query_strings(client: httpx.AsyncClient, query: str, status: int, message: str) -> None:
    answer = await client.get(f"/graphql?{query}", headers={"accept": JSON})

    assert answer.status_code == status
    assert answer.json() == refused(message)


async def test_a_batch_is_answered_in_order(client: httpx.AsyncClient, stores: Stores) -> None:
    user = await create_user(stores)
    named = {"query": "query ($id: ID!) { user(id: $id) { id } }", "variables": {"id": gid(user)}}
    bad = {"query": "{ nothing }", "operationName": None}

    with structlog.testing.capture_logs() as logs:
        answer = await post(client, [{"query": VIEWER}, bad, named, {"query": VIEWER, "operationName": "X"}])

    assert answer.status_code == 200
    first, second, third, fourth = answer.json()
    assert first == NOBODY
    assert second["errors"][0]["message"] == "Cannot query field 'nothing' on type 'Query'."
    assert "data" not in second
    assert third == {"data": {"user": None}}
    assert fourth == refused("The document has no operation of this name.", "OPERATION_RESOLUTION_FAILURE")
    assert [(entry["event"], entry["batch"], entry["errors"]) for entry in logs] == [("request", 4, 2)]


async def test_a_batch_of_refusals_has_their_status(client: httpx.AsyncClient) -> None:
    answer = await post(client, [{"query": "{"}, {"query": "}"}], accept=RESPONSE_JSON)

    assert (answer.status_code, len(answer.json())) == (400, 2)
    assert answer.headers["content-type"] == f"{RESPONSE_JSON}; charset=utf-8"


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([], "A batch has 1 to 10 operations, and this one 0."),
        ([{"query": VIEWER}] * 11, "A batch has 1 to 10 operations, and this one 11."),
        ([{"query": VIEWER}, None], "The body must be a JSON object with a query."),
        ([{"query": VIEWER}, [{"query": VIEWER}]], "The body must be a JSON object with a query."),
        ([{"query": VIEWER}, {"query": 5}], "query must be a text with a GraphQL document."),
    ],
    ids=["empty", "large", "null", "nested", "no query"],
)
async def test_a_bad_batch_is_refused_before_any_work(client: httpx.AsyncClient, batch: Any, message: str) -> None:
    with structlog.testing.capture_logs() as logs:
        answer = await post(client, batch)

    assert (answer.status_code, answer.json()) == (400, refused(message))
    assert [(entry["sql"], entry["mongo"]) for entry in logs] == [(0, 0)]


async def test_a_batch_has_no_idempotency_key(client: httpx.AsyncClient) -> None:
    answer = await post(client, [{"query": VIEWER}], idempotency_key="k")

    assert (answer.status_code, answer.json()) == (
        400,
        refused("Idempotency-Key is for one operation, not for a batch."),
    )


async def test_limits_are_settings(settings: Settings, clean_stores: None) -> None:
    app = create_app(settings.model_copy(update={"max_batch_size": 0, "max_body_size": 1024}))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            batch = await post(client, [{"query": VIEWER}])
            body = await post(client, {"query": VIEWER + " " * 1024})
            query = await client.get("/graphql", params={"query": VIEWER + "_" * 1024}, headers={"accept": JSON})

    assert (batch.status_code, batch.json()) == (
        400,
        refused("The body must be a JSON object with a query: batches are switched off."),
    )
    assert (body.status_code, body.json()) == (413, refused("The body has more than 1024 bytes."))
    assert (query.status_code, query.json()) == (414, refused("The query string has more than 1024 bytes."))


async def test_operations_of_a_batch_run_at_the_same_time(
    settings: Settings, clean_stores: None, postgres_url: str
) -> None:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fashion-wallet' AND wait_event_type = 'Lock'"
    )
    watcher, blocker = [await asyncpg.connect(postgres_url) for _ in range(2)]
    async with running(settings, coalescing=False) as (_, client):
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE catalog.catalog_items IN ACCESS EXCLUSIVE MODE")
            batch = asyncio.create_task(post(client, [{"query": "{ catalogItems { totalCount } }"}] * 3))
            with anyio.fail_after(30):
                while await watcher.fetchval(waiting) != 3:
                    await pause()
        await asyncio.gather(watcher.close(), blocker.close())

        assert (await batch).json() == [{"data": {"catalogItems": {"totalCount": 0}}}] * 3


@pytest.mark.parametrize("given", ["abc", "4bf92f3577b34da6a3ce929d0e0e4736", "A.b_c-9", "x" * 64])
async def test_the_id_of_a_request_is_kept(client: httpx.AsyncClient, given: str) -> None:
    with structlog.testing.capture_logs() as logs:
        answers = [await post(client, body, x_request_id=given) for body in ({"query": VIEWER}, 5)]

    assert [answer.headers["x-request-id"] for answer in answers] == [given, given]
    assert [entry["request_id"] for entry in logs] == [given, given]


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", 'x"y', "x\\ny", "<script>", "ünde"])
async def test_an_id_that_is_none_is_replaced(client: httpx.AsyncClient, given: str) -> None:
    headers = httpx.Headers([("content-type", JSON), ("x-request-id", given)], encoding="utf-8")

    answer = await client.post("/graphql", json={"query": VIEWER}, headers=headers)

    assert UUID(answer.headers["x-request-id"]).version == 7


async def test_a_failure_of_ours_is_masked_too(app: Starlette, admin: httpx.AsyncClient) -> None:
    """One outside of any field: the application has lost its stores."""
    stores, app.state.stores = app.state.stores, None
    client = with_token(admin, access_token(app.state.settings, new_id(), new_id()))
    with structlog.testing.capture_logs() as logs:
        answer = await client.post("/graphql", json={"query": VIEWER}, headers={"x-request-id": "lost"})
    app.state.stores = stores

    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/json; charset=utf-8")
    assert answer.json() == {
        "errors": [
            {
                "message": "Internal error; the request id is lost.",
                "extensions": {"code": "INTERNAL", "requestId": "lost"},
            }
        ]
    }
    assert [(entry["event"], entry["request_id"]) for entry in logs] == [
        ("internal error", "lost"),
        ("request", "lost"),
    ]


async def test_json_is_not_sniffed(client: httpx.AsyncClient) -> None:
    assert (await post(client, {"query": VIEWER})).headers["x-content-type-options"] == "nosniff"
