"""GraphQL over HTTP: from a request to `schema.execute` and back, with masked errors and one log line."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import orjson
import uuid_utils
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from strawberry import Schema
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from api.addresses import Addresses
from api.auth import Auth
from api.claims import Claim, IdempotencyError
from api.config import Settings
from api.context import Context
from api.errors import AppError, BadUserInput, StoreUnavailable, Unauthenticated, as_app_error
from api.idempotency import HEADER, Idempotency, key_of
from api.log import Cost, current_cost, logger
from api.stores import Stores
from api.viewer import Viewer

RESPONSE_JSON: Final = "application/graphql-response+json"
JSON: Final = "application/json"
MAX_BODY: Final = 1024 * 1024
"""Bytes of a request's body."""

_READS: Final = frozenset({OperationType.QUERY})
_ALL: Final = frozenset({OperationType.QUERY, OperationType.MUTATION, OperationType.SUBSCRIPTION})


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request asks to be executed."""

    query: str
    variables: dict[str, Any] | None
    name: str | None


class BadRequest(AppError):
    """A request that is no GraphQL request; `status` is HTTP's word for it."""

    code = BadUserInput.code

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class GraphQLEndpoint:
    """The endpoint `/graphql` for POST and GET (queries only)."""

    def __init__(self, schema: Schema, settings: Settings) -> None:
        self._schema = schema
        self._settings = settings
        self.auth = Auth(settings)
        self._addresses = Addresses(settings)
        self._idempotency = Idempotency(settings)

    async def __call__(self, request: Request) -> Response:
        """Answer with a well-formed GraphQL response, whatever comes in."""
        request_id = str(uuid_utils.uuid7())
        media_type = response_type(request.headers.get("accept", ""))
        started, cost = time.perf_counter(), Cost()
        token = current_cost.set(cost)
        operation: Operation | None = None
        viewer: Viewer | None = None
        replayed = False
        try:
            if media_type is None:
                raise BadRequest(f"Accept must allow {RESPONSE_JSON} or {JSON}.", 406)
            operation = await read_operation(request)
            viewer = await self._viewer(request, request_id)
            run = partial(self._execute, operation, request, request_id, viewer, media_type)
            key = key_of(request.headers.getlist(HEADER), operation) if request.method == "POST" else None
            if key is None:
                status, body = await run()
            else:
                actor = f"account:{viewer.id}" if viewer.id else f"address:{self._addresses.of(request)}"
                stores: Stores = request.app.state.stores
                answer = await self._idempotency.once(key, actor, operation, stores, run)
                status, body, replayed = answer.status, answer.body, answer.replayed
        except (BadRequest, IdempotencyError) as error:
            status, body = error.status, _only(error)
        except Unauthenticated as error:
            status, body = 401, _only(error)
        except StoreUnavailable as error:
            status, body = 503, _only(error)
        finally:
            current_cost.reset(token)
        headers = {"x-request-id": request_id, "cache-control": "no-store", "vary": "accept"}
        if status == 405:
            headers["allow"] = "POST" if request.method == "GET" else "GET, POST"
        if replayed:
            headers["idempotency-replayed"] = "true"
        if status == 401:
            headers["www-authenticate"] = "Bearer"
        logger.info(
            "request",
            operation=operation.name if operation else None,
            viewer=str(viewer.id) if viewer and viewer.id else None,
            status=status,
            errors=len(body.get("errors", ())),
            ms=round((time.perf_counter() - started) * 1000, 2),
            sql=cost.sql,
            mongo=cost.mongo,
            request_id=request_id,
        )
        return Response(orjson.dumps(body), status, headers, f"{media_type or JSON}; charset=utf-8")

    async def _viewer(self, request: Request, request_id: str) -> Viewer:
        """Who is asking. Raises Unauthenticated, or StoreUnavailable where nobody can tell."""
        try:
            return await self.auth.viewer_of(request.headers.get("authorization"), request.app.state.stores)
        except Unauthenticated:
            raise
        except Exception as error:
            known = as_app_error(error)
            if not isinstance(known, StoreUnavailable):
                raise
            logger.warning("failure", code=known.code, error=repr(error), request_id=request_id)
            raise known from None

    async def _execute(
        self,
        operation: Operation,
        request: Request,
        request_id: str,
        viewer: Viewer,
        media_type: str,
        claim: Claim | None = None,
    ) -> tuple[int, dict[str, Any]]:
        stores: Stores = request.app.state.stores
        try:
            result = await self._schema.execute(
                operation.query,
                variable_values=operation.variables,
                operation_name=operation.name,
                context_value=Context(
                    stores, self._settings, request_id, self.auth, viewer, self._addresses.of(request), claim
                ),
                allowed_operation_types=_READS if request.method == "GET" else _ALL,
            )
        except InvalidOperationTypeError:
            raise BadRequest("Mutations are sent with POST.", 405) from None
        except CannotGetOperationTypeError:
            raise BadRequest("The document has no operation of this name.") from None
        body: dict[str, Any] = {}
        if result.errors:
            body["errors"] = [format_error(error, request_id) for error in result.errors]
        refused = isinstance(result, PreExecutionError) or _refused(result)
        if not refused:
            body["data"] = result.data
        return (400 if refused and media_type == RESPONSE_JSON else 200), body


def _only(error: AppError) -> dict[str, Any]:
    """The body of a response that has nothing but this error."""
    return {"errors": [{"message": error.message, "extensions": dict(error.extensions)}]}


def _refused(result: ExecutionResult) -> bool:
    """Whether execution never began: variables that don't fit are found by the executor, before any field."""
    return result.data is None and bool(result.errors) and all(not error.path for error in result.errors or ())


def response_type(accept: str) -> str | None:
    """The media type to answer with: the preferred of the two, `application/json` for old clients; None for neither."""
    best: tuple[float, str] | None = None
    for entry in accept.split(",") if accept.strip() else ["*/*"]:
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        quality = next((_quality(part[2:]) for part in parameters if part.startswith("q=")), 1.0)
        if name in ("*/*", "application/*"):
            name = JSON
        if name in (JSON, RESPONSE_JSON) and quality > 0 and (best is None or quality > best[0]):
            best = quality, name
    return best[1] if best else None


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


async def read_operation(request: Request) -> Operation:
    """What the request asks for. Raises BadRequest for everything that isn't a GraphQL request."""
    if request.method == "GET":
        given: Any = dict(request.query_params)
        for name in ("variables", "extensions"):
            if name in given:
                given[name] = _parse(given[name].encode(), name)
    elif request.method == "POST":
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != JSON:
            raise BadRequest(f"Content-Type must be {JSON}.", 415)
        given = _parse(await _body(request), "The body")
        if not isinstance(given, dict):
            raise BadRequest("The body must be a JSON object with a query.")
    else:
        raise BadRequest("Use POST, or GET for queries.", 405)
    query, variables, name = given.get("query"), given.get("variables"), given.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise BadRequest("query must be a text with a GraphQL document.")
    if variables is not None and not isinstance(variables, dict):
        raise BadRequest("variables must be an object.")
    if name is not None and not isinstance(name, str):
        raise BadRequest("operationName must be a text.")
    if given.get("extensions") is not None and not isinstance(given["extensions"], dict):
        raise BadRequest("extensions must be an object.")
    return Operation(query, variables, name or None)


async def _body(request: Request) -> bytes:
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_BODY:
                raise BadRequest(f"The body has more than {MAX_BODY} bytes.", 413)
            chunks.append(chunk)
    except ClientDisconnect:
        raise BadRequest("The client left.") from None
    return b"".join(chunks)


def _parse(text: bytes, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadRequest(f"{name} is not valid JSON.") from None


def format_error(error: GraphQLError, request_id: str) -> Mapping[str, Any]:
    """An error as clients see it: a code always, internals never (they are logged under the request id)."""
    formatted: dict[str, Any] = {"message": error.message}
    if error.locations:
        formatted["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path:
        formatted["path"] = error.path
    known = as_app_error(error)
    if known is not None:
        formatted["message"] = known.message
        formatted["extensions"] = dict(known.extensions)
        if isinstance(known, StoreUnavailable):
            logger.warning("failure", code=known.code, error=repr(error.original_error), request_id=request_id)
    elif _is_clients(error):
        formatted["extensions"] = {"code": BadUserInput.code}
    else:
        logger.error("internal error", request_id=request_id, path=error.path, exc_info=error.original_error)
        formatted["message"] = f"Internal error; the request id is {request_id}."
        formatted["extensions"] = {"code": AppError.code, "requestId": request_id}
    return formatted


def _is_clients(error: GraphQLError) -> bool:
    """Whether an error of graphql-core is about the document, the variables or an argument.

    What it raises while it completes a result (a value outside its enum) is an error of its own kind, too, but ours.
    """
    original = error.original_error
    if original is None or not isinstance(original, GraphQLError):
        return original is None
    return error.path is None or original.message.startswith("Argument ")
