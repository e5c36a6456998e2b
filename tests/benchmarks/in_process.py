"""What benchmarks share whose application is in their own process: requests without a socket, and CPU time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette


def scopes(body: bytes, token: str | None = None) -> Callable[[], dict[str, Any]]:
    """Makes the scopes of a POST to `/graphql`, as uvicorn makes them: one for each request."""
    headers = [
        (b"host", b"127.0.0.1:8000"),
        (b"content-type", b"application/json"),
        (b"accept", b"application/graphql-response+json, application/json;q=0.9"),
        (b"content-length", str(len(body)).encode()),
        (b"user-agent", b"benchmark"),
    ]
    if token is not None:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    return lambda: {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "method": "POST",
        "root_path": "",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "query_string": b"",
        "headers": list(headers),
        "state": {},
    }


async def answer_of(app: Starlette, body: bytes, token: str | None = None) -> bytes:
    """The body of the answer to a POST, by way of ASGI alone."""
    answer = bytearray()

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)  # as under a server: the body comes after the head
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        answer.extend(message.get("body", b""))

    await app(scopes(body, token)(), receive, send)
    return bytes(answer)


async def cpu(work: Callable[[], Awaitable[object]], times: int) -> float:
    """Seconds of this process's CPU that it takes once, when it is done so many times."""
    began = time.process_time()
    for _ in range(times):
        await work()
    return (time.process_time() - began) / times
