"""From what was executed to an HTTP response: statuses, headers, and errors that tell nothing of the inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from graphql import GraphQLError, GraphQLSyntaxError, IntValueNode
from starlette.types import Send
from strawberry.types.execution import ExecutionResult, PreExecutionError

from api.admission.refusals import answer_too_large
from api.config.settings import Settings
from api.error_codes import ErrorCode
from api.errors import AppError, as_app_error, reported
from api.http.compression import LEAST, compressed, encoding_of
from api.http.masking import without_values
from api.http.request import RESPONSE_JSON
from api.log import logger

Body = dict[str, Any]


@dataclass(slots=True)
class Answer:
    """HTTP's status, the body (a list answers a batch), and headers beside those that every response has."""

    status: int
    body: Body | list[Body]
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        """The body as it is sent. Raises TypeError where JSON can't say it."""
        return orjson.dumps(self.body)

    @property
    def errors(self) -> Sequence[Mapping[str, Any]]:
        """The errors that the body lists, as clients see them; of a batch, those of all its operations."""
        if isinstance(self.body, list):
            return [error for body in self.body for error in body.get("errors", ())]
        errors: Sequence[Mapping[str, Any]] = self.body.get("errors", ())
        return errors


def executed(result: ExecutionResult | PreExecutionError, media_type: str, request_id: str) -> Answer:
    """The answer to an operation. Of one that was refused before its execution, an error may say status and headers
    (`AppError.status`); else it is 400, and 200 for old clients."""
    body: Body = {}
    code = ErrorCode.GRAPHQL_VALIDATION_FAILED if isinstance(result, PreExecutionError) else ErrorCode.BAD_VARIABLES
    if result.errors:
        body["errors"] = [format_error(error, request_id, code) for error in result.errors]
    refused = isinstance(result, PreExecutionError) or _refused(result)
    if not refused:
        body["data"] = result.data
    if result.extensions:
        body["extensions"] = result.extensions
    if not refused:
        return Answer(200, body)
    for error in result.errors or ():
        known = as_app_error(error)
        if known is not None and known.status is not None:
            return Answer(known.status, body, dict(known.headers))
    return Answer(400 if media_type == RESPONSE_JSON else 200, body)


def refusal(error: AppError) -> Answer:
    """The answer that has nothing but this error."""
    body = {"errors": [{"message": error.message, "extensions": dict(error.extensions)}]}
    return Answer(error.status or 400, body, dict(error.headers))


def too_large(size: int, settings: Settings, media_type: str | None) -> Answer:
    """The answer in place of one that got too large when it was written out."""
    answer = refusal(answer_too_large(size, settings))
    return answer if media_type == RESPONSE_JSON else replace(answer, status=200)


def failure(error: Exception, request_id: str) -> Answer:
    """The answer to a request that hit a bug outside of any field: logged, masked, 500."""
    logger.error("internal error", request_id=request_id, exc_info=error)
    return Answer(500, {"errors": [{"message": _masked(request_id), "extensions": _internal(request_id)}]})


def of_batch(answers: list[Answer]) -> Answer:
    """One answer to a batch: the status that all of them have, else 200."""
    statuses = {answer.status for answer in answers}
    headers = {name: value for answer in answers for name, value in answer.headers.items()}
    bodies = [answer.body for answer in answers if isinstance(answer.body, dict)]
    return Answer(statuses.pop() if len(statuses) == 1 else 200, bodies, headers)


async def send_answer(
    answer: Answer, content: bytes, media_type: str, encodings: str, request_id: str, send: Send
) -> None:
    """Send it, with the headers that every response has, in one of the encodings that the client accepts."""
    encoding = encoding_of(encodings) if encodings and len(content) >= LEAST else None
    if encoding is not None:
        content = await compressed(content, encoding)
    headers = [
        (b"content-type", f"{media_type}; charset=utf-8".encode()),
        (b"content-length", str(len(content)).encode()),
        (b"x-request-id", request_id.encode()),
        (b"cache-control", b"no-store"),
        (b"vary", b"accept, accept-encoding"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if encoding is not None:
        headers.append((b"content-encoding", encoding.encode()))
    if answer.headers:
        headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def format_error(error: GraphQLError, request_id: str, of_core: ErrorCode) -> Mapping[str, Any]:
    """An error as clients see it: a code always, internals never (they are logged under the request id).

    `of_core` is the code of what graphql-core finds in the client's request, unless that is the syntax.
    """
    formatted: dict[str, Any] = {"message": error.message}
    if error.locations:
        formatted["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path:
        formatted["path"] = error.path
    known = reported(error, request_id=request_id)
    if known is not None:
        formatted["message"] = known.message
        formatted["extensions"] = dict(known.extensions)
    elif _has_too_many_digits(error):
        formatted["message"] = "A number in the document has too many digits."
        formatted["extensions"] = {"code": ErrorCode.GRAPHQL_VALIDATION_FAILED.name}
    elif _is_clients(error):
        code = ErrorCode.GRAPHQL_PARSE_FAILED if isinstance(error, GraphQLSyntaxError) else of_core
        formatted["message"] = without_values(error.message)
        formatted["extensions"] = {"code": code.name}
    else:
        logger.error("internal error", request_id=request_id, path=error.path, exc_info=error.original_error)
        formatted["message"] = _masked(request_id)
        formatted["extensions"] = _internal(request_id)
    return formatted


def _masked(request_id: str) -> str:
    return f"Internal error; the request id is {request_id}."


def _internal(request_id: str) -> dict[str, Any]:
    return {"code": AppError.code.name, "requestId": request_id}


def _refused(result: ExecutionResult) -> bool:
    """Whether execution never began: variables that don't fit are found by the executor, before any field."""
    return result.data is None and bool(result.errors) and all(not error.path for error in result.errors or ())


def _has_too_many_digits(error: GraphQLError) -> bool:
    """Whether Python has refused to convert an integer of the document; graphql-core lets its error pass."""
    nodes = error.nodes or ()
    return isinstance(error.original_error, ValueError) and any(isinstance(node, IntValueNode) for node in nodes)


def _is_clients(error: GraphQLError) -> bool:
    """Whether an error of graphql-core is about the document, the variables or an argument.

    What it raises while it completes a result (a value outside its enum) is an error of its own kind, too, but ours.
    """
    original = error.original_error
    if original is None or not isinstance(original, GraphQLError):
        return original is None
    return error.path is None or original.message.startswith("Argument ")
