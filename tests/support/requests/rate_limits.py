"""Requests that are counted, and what is left of a quota."""

from __future__ import annotations

import re
from typing import Any

import httpx

TYPENAME = {"query": "{ __typename }"}
ITEMS = {"query": "query ($first: Int) { catalogItems(first: $first) { nodes { name } } }", "variables": {"first": 50}}
DAY = 24 * 3600


def left(response: httpx.Response) -> int:
    """Points that are left, by the header `RateLimit`."""
    found = re.fullmatch(r'"(?:user|address)";r=(\d+);t=(\d+)', response.headers["ratelimit"])
    assert found, response.headers["ratelimit"]
    assert 0 <= int(found[2]) <= DAY
    return int(found[1])


async def post(client: httpx.AsyncClient, body: Any, **headers: str) -> httpx.Response:
    return await client.post("/graphql", json=body, headers=headers)


def assert_refused(response: httpx.Response) -> None:
    """429, with when to come back."""
    assert response.status_code == 429
    seconds = int(response.headers["retry-after"])
    assert 1 <= seconds <= DAY
    assert response.json() == {
        "errors": [
            {
                "message": f"Too many attempts; try again in {seconds} s.",
                "extensions": {"code": "RATE_LIMITED", "retryAfter": seconds},
            }
        ]
    }
