"""Making a response: status, headers, body, and errors that reveal nothing internal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson
from graphql import GraphQLError, GraphQLSyntaxError, IntValueNode
from starlette.types import Send
from strawberry.types.execution import ExecutionResult, PreExecutionError

from api.admission.refusals import answer_too_large
from api.config.settings import Settings
from api.error_codes import ErrorCode
from api.errors import AppError, as_app_error, reported
from api.fields.equal_queries import Outcome
from api.http.request import RESPONSE_JSON
from api.http.responses.compression import LEAST, compressed, encoding_of
from api.http.responses.masking import without_values
from api.log import logger

if TYPE_CHECKING:
    from api.http.subscriptions.subscription import Subscription

Body = dict[str, Any]


@dataclass(slots=True)
class Answer:
    """A response: its HTTP status, its body (a list for a batch), and headers beside those of every response.

    `outcome` is where its data is from, which others may be answered with, too.
    Where a `subscription` has been opened, there is no body: its results follow.
    """

    status: int
    body: Body | list[Body]
    headers: dict[str, str] = field(default_factory=dict)
    outcome: Outcome | None = None
    subscription: Subscription | None = None

    def content(self) -> bytes:
        """The body as JSON. Raises TypeError where JSON can't express it."""
        return orjson.dumps(self.body)

    @property
    def errors(self) -> Sequence[Mapping[str, Any]]:
        """The errors in the body; of a batch, those of all operations."""
        if isinstance(self.body, list):
            return [error for body in self.body for error in body.get("errors", ())]
        errors: Sequence[Mapping[str, Any]] = self.body.get("errors", ())
        return errors


def executed(result: ExecutionResult | PreExecutionError, media_type: str, request_id: str) -> Answer:
    """The answer to an operation.

    Where it was refused before its execution, the error may say the status and headers (`AppError.status`). Else the
    status is 400, or 200 for old clients.
    """
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
    """An answer with nothing but this error."""
    body = {"errors": [{"message": error.message, "extensions": dict(error.extensions)}]}
    return Answer(error.status or 400, body, dict(error.headers))


def too_large(size: int, settings: Settings, media_type: str | None) -> Answer:
    """The answer in place of one whose JSON is too large."""
    answer = refusal(answer_too_large(size, settings))
    return answer if media_type == RESPONSE_JSON else replace(answer, status=200)


def failure(error: Exception, request_id: str) -> Answer:
    """The answer after a bug outside of any field: 500, with a masked error. The bug is logged."""
    logger.error("internal error", request_id=request_id, exc_info=error)
    return Answer(500, {"errors": [{"message": _masked(request_id), "extensions": _internal(request_id)}]})


def of_batch(answers: list[Answer]) -> Answer:
    """The answer to a batch. Its status is the common one of all operations, else 200."""
    statuses = {answer.status for answer in answers}
    headers = {name: value for answer in answers for name, value in answer.headers.items()}
    bodies = [answer.body for answer in answers if isinstance(answer.body, dict)]
    return Answer(statuses.pop() if len(statuses) == 1 else 200, bodies, headers)


async def send_answer(
    answer: Answer, content: bytes, media_type: str, encodings: str, request_id: str, send: Send
) -> None:
    """Send the answer with the headers of every response, in an encoding that the client accepts."""
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
    """An error as clients see it: always with a code, never with internals (these are logged with the request id).

    `of_core` is the code for errors that graphql-core finds in the request, syntax errors excepted.
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
    """Whether execution never began, since the executor refused the variables."""
    return result.data is None and bool(result.errors) and all(not error.path for error in result.errors or ())


def _has_too_many_digits(error: GraphQLError) -> bool:
    """Whether Python refused to convert a huge integer in the document; graphql-core doesn't catch that error."""
    nodes = error.nodes or ()
    return isinstance(error.original_error, ValueError) and any(isinstance(node, IntValueNode) for node in nodes)


def _is_clients(error: GraphQLError) -> bool:
    """Whether an error of graphql-core is about the document, the variables or an argument.

    Errors that it raises while completing a result (such as for a value outside its enum) are bugs of ours.
    """
    original = error.original_error
    if original is None or not isinstance(original, GraphQLError):
        return original is None
    return error.path is None or original.message.startswith("Argument ")
