"""Reading a request: media types, body and JSON, and the operations in it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
import uuid_utils
from starlette.types import Receive, Scope

from api.config.settings import Settings
from api.errors import BadRequest, ClientLeft
from api.execution.operation import Operation

RESPONSE_JSON: Final = "application/graphql-response+json"
JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_REMEMBERED_ACCEPT: Final = 512
"""The most characters of an Accept header whose result is remembered; no client sends more."""
_LENGTH_DIGITS: Final = 18
_NAMES_JSON: Final = re.compile(r"application/(graphql-response\+)?json", re.IGNORECASE)
_PREFLIGHTED: Final = (b"authorization", b"apollo-require-preflight", b"x-requested-with")
"""Headers that a page of another site can't send without a CORS preflight, and a form can't send at all."""
_PARAMETERS: Final = frozenset({"query", "documentId", "variables", "operationName", "extensions"})


class Incoming:
    """An ASGI request. Headers are found by their lower-case names; of a repeated header, the last one.

    `size` is the number of bytes read so far of the query string and the body.
    """

    __slots__ = ("_headers", "method", "receive", "scope", "size")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.method: str = scope["method"]
        self.size = 0
        self._headers: dict[bytes, bytes] = dict(scope["headers"])

    def __contains__(self, name: bytes) -> bool:
        return name in self._headers

    def header(self, name: bytes) -> str:
        """The header with this name; empty where there is none."""
        value = self._headers.get(name)
        return "" if value is None else value.decode("latin-1")

    def headers(self, name: bytes) -> list[str]:
        """All headers with this name."""
        return [value.decode("latin-1") for each, value in self.scope["headers"] if each == name]


def wants_data(request: Incoming) -> bool:
    """Whether a GET asks for data, not for a page.

    It accepts JSON, or has a header that neither forms nor browsers opening an address send.
    """
    return any(name in request for name in _PREFLIGHTED) or bool(_NAMES_JSON.search(request.header(b"accept")))


def request_id_of(request: Incoming) -> str:
    """The request id that the client or a proxy sent, if it matches `[A-Za-z0-9._-]{1,64}`; else a new one."""
    given = request.header(b"x-request-id")
    return given if given and _REQUEST_ID.fullmatch(given) else str(uuid_utils.uuid7())


def response_type(accept: str) -> str | None:
    """The media type of the response: whichever of the three the client prefers; None where it accepts none."""
    return _negotiate(accept) if len(accept) <= _REMEMBERED_ACCEPT else _negotiate.__wrapped__(accept)


@lru_cache(256)
def _negotiate(accept: str) -> str | None:
    best: tuple[float, str] | None = None
    for entry in accept.split(",") if accept.strip() else ["*/*"]:
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        quality = next((_quality(part[2:]) for part in parameters if part.startswith("q=")), 1.0)
        if name in ("*/*", "application/*"):
            name = JSON
        if name in (JSON, RESPONSE_JSON, EVENT_STREAM) and quality > 0 and (best is None or quality > best[0]):
            best = quality, name
    return best[1] if best else None


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


async def read_operations(request: Incoming, settings: Settings) -> Operation | list[Operation]:
    """The operation of the request, or a list of them for a batch. Raises BadRequest where it isn't a GraphQL
    request."""
    if request.method == "POST":
        return await _read_post(request, settings)
    if request.method == "GET":
        return operation_of(_read_get(request, settings))
    raise BadRequest("Use POST, or GET for queries.", 405, {"allow": "GET, POST"})


async def _read_post(request: Incoming, settings: Settings) -> Operation | list[Operation]:
    _require_json(request.header(b"content-type"))
    if request.header(b"content-encoding").strip().lower() not in ("", "identity"):
        raise BadRequest("The body must be sent without a Content-Encoding.", 415, {"accept-encoding": "identity"})
    given = _parse(await _body(request, settings), "The body")
    if not isinstance(given, list):
        return operation_of(given)
    if not settings.max_batch_size:
        raise BadRequest("The body must be a JSON object with a query: batches are switched off.")
    if not 0 < len(given) <= settings.max_batch_size:
        raise BadRequest(f"A batch has 1 to {settings.max_batch_size} operations, and this one {len(given)}.")
    return [operation_of(each) for each in given]


def _require_json(content_type: str) -> None:
    """Refuse everything but JSON in UTF-8. A page of another site can't send that without a CORS preflight."""
    if content_type == JSON:
        return
    name, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if name != JSON:
        raise BadRequest(f"Content-Type must be {JSON}.", 415, {"accept": JSON})
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8"):
            raise BadRequest(f"The charset of {JSON} is UTF-8.", 415, {"accept": JSON})


def _read_get(request: Incoming, settings: Settings) -> dict[str, Any]:
    """The parameters of a query string. Requests that a form, image or script of another site could send are
    refused."""
    if not wants_data(request):
        raise BadRequest(f"A GET names {JSON} or {RESPONSE_JSON} in its Accept header: any page's form sends the rest.")
    text: bytes = request.scope["query_string"]
    request.size = len(text)
    if len(text) > settings.max_body_size:
        raise BadRequest(f"The query string has more than {settings.max_body_size} bytes.", 414)
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict")
    except UnicodeError:
        raise BadRequest("The query string is not UTF-8.") from None
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name in _PARAMETERS:
            if name in given:
                raise BadRequest(f"{name} is given twice.")
            given[name] = value
    for name in ("variables", "extensions"):
        if name in given:
            given[name] = _parse(given[name].encode(), name)
    return given


def operation_of(given: Any) -> Operation:
    """The operation that a JSON value asks for. Raises BadRequest where it is none."""
    if not isinstance(given, dict):
        raise BadRequest("The body must be a JSON object with a query.")
    query, variables, name = given.get("query"), given.get("variables"), given.get("operationName")
    document_id, extensions = given.get("documentId"), given.get("extensions")
    if query is not None and not isinstance(query, str):
        raise BadRequest("query must be a text with a GraphQL document.")
    if variables is not None and not isinstance(variables, dict):
        raise BadRequest("variables must be an object.")
    if name is not None and not isinstance(name, str):
        raise BadRequest("operationName must be a text.")
    if document_id is not None and not isinstance(document_id, str):
        raise BadRequest("documentId must be a text.")
    if extensions is not None and not isinstance(extensions, dict):
        raise BadRequest("extensions must be an object.")
    return Operation(query or "", variables, name or None, document_id or None, extensions or {})


async def _body(request: Incoming, settings: Settings) -> bytes | bytearray:
    """The body. Where it doesn't arrive in time, `api/server/protocol.py` ends the connection."""
    limit = settings.max_body_size
    declared = request.header(b"content-length")
    if len(declared) > _LENGTH_DIGITS or (declared.isdecimal() and int(declared) > limit):
        raise _too_large(limit)
    first, more = await _chunk(request)
    body: bytes | bytearray = first
    if more:
        body = bytearray(first)
        while more:
            if len(body) > limit:
                raise _too_large(limit)
            chunk, more = await _chunk(request)
            body += chunk
    if len(body) > limit:
        raise _too_large(limit)
    return body


async def _chunk(request: Incoming) -> tuple[bytes, bool]:
    """The next part of a body, and whether there is more."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientLeft
    body: bytes = message.get("body", b"")
    request.size += len(body)
    return body, message.get("more_body", False)


def _too_large(limit: int) -> BadRequest:
    return BadRequest(f"The body has more than {limit} bytes.", 413)


def _parse(text: bytes | bytearray, name: str) -> Any:
    """The value of a JSON text.

    orjson is strict: it refuses lone surrogates, NaN, numbers too large for a float, and more than 1,024 levels.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if "UTF-8" in error.msg:
            raise BadRequest(f"{name} is not UTF-8.") from None
        raise BadRequest(f"{name} is not valid JSON at line {error.lineno}, column {error.colno}.") from None
