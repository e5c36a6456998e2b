"""Requests with the header `Idempotency-Key`, and keys as a process leaves them that died."""

from __future__ import annotations

from typing import Any

import httpx
from sqlalchemy import func, null, update

from api.stores.stores import Stores
from models import IdempotencyKey


async def send(client: httpx.AsyncClient, query: str, *keys: str, **variables: Any) -> httpx.Response:
    headers = [(b"idempotency-key", key.encode("latin-1")) for key in keys]
    return await client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)


async def lose_answers(stores: Stores) -> None:
    """Leave the keys as they are where a process died before it could keep its answer, a while ago."""
    async with stores.sessions.begin() as session:
        await session.execute(update(IdempotencyKey).values(response=null()))
    await let_lapse(stores)


async def let_lapse(stores: Stores) -> None:
    """End all leases, as time would where nobody renews them."""
    async with stores.sessions.begin() as session:
        await session.execute(update(IdempotencyKey).values(locked_until=func.now()))
