"""The messages of `graphql-transport-ws`: what a client may send, and what it is sent.

The protocol: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import orjson

from api.errors import BadRequest
from api.execution.operation import Operation
from api.http.request import operation_of

PROTOCOL: Final = "graphql-transport-ws"
LONGEST_ID: Final = 255
"""The most characters of an operation's id; clients send numbers or UUIDs."""
_SHOWN: Final = 60
"""The most characters of an id in the reason of a close, which has at most 123 bytes."""
_OF_THE_SERVER: Final = frozenset({"connection_ack", "next", "error"})

ACK: Final = b'{"type":"connection_ack"}'
END_OF_RESULT: Final = b"}"


class Code(IntEnum):
    """Why this server closes a socket: the protocol's codes, and those of WebSocket."""

    RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_MESSAGE = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INIT_TIMEOUT = 4408
    SUBSCRIBER_EXISTS = 4409
    TOO_MANY_INITS = 4429
    INTERNAL_ERROR = 4500
    TOO_SLOW = 4508


class BadMessage(Exception):
    """A message that the protocol doesn't know: the socket is closed with 4400, and the argument as the reason."""


@dataclass(frozen=True, slots=True)
class Init:
    """`connection_init`."""

    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ping:
    """`ping`, which is answered with its payload."""

    payload: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Pong:
    """`pong`."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """`subscribe`: an operation of any kind."""

    id: str
    operation: Operation


@dataclass(frozen=True, slots=True)
class Complete:
    """`complete`: the client wants no more of an operation."""

    id: str


Message = Init | Ping | Pong | Subscribe | Complete


def read(text: str) -> Message:
    """The message in a frame. Raises BadMessage."""
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadMessage("A message is JSON") from None
    if not isinstance(given, dict):
        raise BadMessage("A message is a JSON object")
    match given.get("type"):
        case "connection_init":
            return Init(_payload(given) or {})
        case "ping":
            return Ping(_payload(given))
        case "pong":
            _payload(given)
            return Pong()
        case "subscribe":
            return Subscribe(_id(given), _operation(given.get("payload")))
        case "complete":
            return Complete(_id(given))
        case str() as name if name in _OF_THE_SERVER:
            raise BadMessage(f"Only the server sends {name}")
        case _:
            raise BadMessage("The type of the message is unknown")


def pong(payload: Mapping[str, Any] | None) -> bytes:
    """The answer to a ping."""
    return orjson.dumps({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})


def head_of_results(id: str) -> bytes:
    """What comes before the JSON of each result of an operation; behind it comes END_OF_RESULT."""
    return b'{"id":' + orjson.dumps(id) + b',"type":"next","payload":'


def next_result(id: str, content: bytes) -> bytes:
    """A result of an operation, whose JSON is given."""
    return head_of_results(id) + content + END_OF_RESULT


def error(id: str, errors: Any) -> bytes:
    """Why an operation isn't executed; it ends it."""
    return orjson.dumps({"id": id, "type": "error", "payload": errors})


def complete(id: str) -> bytes:
    """The end of an operation."""
    return orjson.dumps({"id": id, "type": "complete"})


def exists(id: str) -> str:
    """The reason for closing a socket that uses an id twice."""
    shown = id if len(id) <= _SHOWN and id.isascii() else "this id"
    return f"Subscriber for {shown} already exists"


def _payload(given: Mapping[str, Any]) -> Mapping[str, Any] | None:
    payload = given.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise BadMessage("The payload of this message is an object")
    return payload


def _id(given: Mapping[str, Any]) -> str:
    id = given.get("id")
    if not isinstance(id, str) or not 0 < len(id) <= LONGEST_ID:
        raise BadMessage(f"The id of this message is a text of 1 to {LONGEST_ID} characters")
    return id


def _operation(payload: Any) -> Operation:
    if not isinstance(payload, dict):
        raise BadMessage("The payload of subscribe is an object")
    if not any(payload.get(name) is not None for name in ("query", "documentId", "extensions")):
        raise BadMessage("The payload of subscribe has a query")
    try:
        return operation_of(payload)
    except BadRequest as refused:
        raise BadMessage(refused.message) from None
