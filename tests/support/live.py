"""Subscriptions that a test follows."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson

from tests.support.requests.sockets import GraphQLSocket, socket

CHANGES = """subscription ($filter: CatalogItemFilter, $after: String) {
  catalogItemsChanged(filter: $filter, after: $after) {
    kind itemId changedFields resumeToken at actor { id } item { name price assetUrl }
  }
}"""

DESIGN_CHANGE = """
  kind designId version changedFields resumeToken at actor { id } design { name status version }
  diff {
    fromVersion toVersion fields { field before after }
    added { layerId } removed { layerId } changed { layerId fields { field } } moved { layerId before after }
  }
"""
DESIGNS = f"""subscription ($filter: DesignFilter, $after: String) {{
  designsChanged(filter: $filter, after: $after) {{ {DESIGN_CHANGE} }}
}}"""
DESIGN = (
    f"""subscription ($id: ID!, $after: String) {{ designChanged(id: $id, after: $after) {{ {DESIGN_CHANGE} }} }}"""
)


class Followed:
    """The events of a subscription with one root field, over a socket of its own."""

    def __init__(self, socket: GraphQLSocket) -> None:
        self.socket = socket

    async def next(self) -> dict[str, Any]:
        """The next event, which has no error."""
        message = await self.socket.receive()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        (event,) = message["payload"]["data"].values()
        return dict(event)


@contextlib.asynccontextmanager
async def followed(port: int, query: str, token: str | None = None, **variables: Any) -> AsyncIterator[Followed]:
    """A subscription that has begun: without `after`, its first event has come already."""
    async with socket(port) as opened:
        await opened.begin(**({"authorization": token} if token else {}))
        await opened.subscribe("followed", query, variables=variables)
        events = Followed(opened)
        if variables.get("after") is None:
            assert (await events.next())["kind"] == "STARTED"
        yield events


async def refusal(port: int, query: str, **variables: Any) -> str:
    """The code with which a subscription is refused."""
    async with socket(port) as opened:
        await opened.begin()
        await opened.subscribe("refused", query, variables=variables)
        code: str = (await opened.receive())["payload"][0]["extensions"]["code"]
        return code


def place_of(token: str) -> tuple[str, Any]:
    """The fingerprint and the place of a token."""
    fingerprint, place = orjson.loads(base64.b64decode(token, altchars=b"-_"))
    return fingerprint, place


def token_of(fingerprint: str, place: object) -> str:
    """The inverse of `place_of`."""
    return base64.urlsafe_b64encode(orjson.dumps([fingerprint, place])).decode()


class StreamEnded(Exception):
    """The stream has ended by an error with this code; None where it just ended."""

    def __init__(self, code: str | None) -> None:
        super().__init__(code)
        self.code = code


@contextlib.asynccontextmanager
async def streamed(
    port: int, query: str, token: str | None = None, **variables: Any
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The events of a subscription with one root field, over HTTP; reading them raises StreamEnded in the end."""
    headers = {"accept": "text/event-stream"} | ({"authorization": token} if token else {})
    body = {"query": query, "variables": variables}
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
        client.stream("POST", "/graphql", json=body, headers=headers) as response,
    ):
        assert response.status_code == 200
        yield _events(response)


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in response.aiter_lines():
        if not line.startswith("data: "):
            continue
        payload = orjson.loads(line.removeprefix("data: "))
        if payload.get("data") is None:
            raise StreamEnded(payload["errors"][0]["extensions"]["code"])
        (event,) = payload["data"].values()
        yield dict(event)
    raise StreamEnded(None)
