"""`/pictures/...`: draws the result of a GraphQL query that runs as the client. So rights, limits and logs apply."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache, partial
from importlib.resources import files
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from api.http.pictures.designs import draw_design
from api.http.pictures.items import draw_item
from api.http.request import JSON, RESPONSE_JSON
from api.ids import encode_id

PATH: Final = "/pictures"
MAX_AGE: Final = 60
"""Seconds for which browsers cache a picture. Who loses the right to see it may see it so much longer."""

_KINDS: Final[tuple[tuple[str, str, str, Callable[[Any], str]], ...]] = (
    ("catalog-items", "CatalogItem", "catalog-item", draw_item),
    ("designs", "Design", "design", draw_design),
)
"""The folder in the address, the GraphQL type, the document beside this file, and the function that draws."""
_PASSED_ON: Final = frozenset({b"authorization", b"host", b"x-forwarded-for", b"x-request-id"})
"""Headers that identify the client."""
_PASSED_BACK: Final = frozenset({b"retry-after", b"www-authenticate", b"ratelimit", b"ratelimit-policy"})
_STATUSES: Final = {"STORE_UNAVAILABLE": 503, "TIMEOUT": 504, "INTERNAL": 500}
"""HTTP statuses by the code of a field's error; for all others, 404."""
_HEADERS: Final = {
    # a picture that is opened as a page may run and load nothing
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",  # pages of any origin may show it
    "Vary": "Authorization",
    "X-Content-Type-Options": "nosniff",
}


def routes(graphql: ASGIApp) -> list[Route]:
    """The routes of the pictures, which ask this endpoint."""
    return [
        Route(f"{PATH}/{folder}/{{key}}.svg", partial(_picture, graphql, type_name, document, draw), methods=["GET"])
        for folder, type_name, document, draw in _KINDS
    ]


async def _picture(
    graphql: ASGIApp, type_name: str, document: str, draw: Callable[[Any], str], request: Request
) -> Response:
    """200 with the picture, 304, 404 for what the viewer may not see, or the status with which the API refuses."""
    id = encode_id(type_name, request.path_params["key"])
    status, headers, answer = await _ask(graphql, request, {"query": _document(document), "variables": {"id": id}})
    if status != 200 or "errors" in answer:
        error = (answer.get("errors") or [{"message": "There is no answer."}])[0]
        if status == 200:
            status = _STATUSES.get(error.get("extensions", {}).get("code"), 404)
        return PlainTextResponse(error["message"], status, {**_HEADERS, "Cache-Control": "no-store", **headers})
    node = answer["data"]["node"]
    if node is None:
        return PlainTextResponse("There is no such picture.", 404, {**_HEADERS, "Cache-Control": "no-store", **headers})
    content = draw(node).encode()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    scope = "private" if "authorization" in request.headers else "public"
    headers |= {**_HEADERS, "ETag": tag, "Cache-Control": f"{scope}, max-age={MAX_AGE}"}
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if tag in known or known == ["*"]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="image/svg+xml", headers=headers)


@cache
def _document(name: str) -> str:
    return (files(__package__) / f"{name}.graphql").read_text("utf-8")


async def _ask(graphql: ASGIApp, request: Request, body: dict[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Run the query as the client of this request. Returns status, some headers and body of the answer."""
    passed = [(name, value) for name, value in request.scope["headers"] if name in _PASSED_ON]
    content = orjson.dumps(body)
    own = [(b"content-type", JSON.encode()), (b"accept", RESPONSE_JSON.encode())]
    length = [(b"content-length", str(len(content)).encode())]
    scope = {
        **request.scope,
        "method": "POST",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "query_string": b"",
        "headers": [*passed, *own, *length],
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await graphql(scope, receive, send)
    headers = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"] if name in _PASSED_BACK}
    answer: dict[str, Any] = orjson.loads(b"".join(message.get("body", b"") for message in sent[1:]))
    return sent[0]["status"], headers, answer
