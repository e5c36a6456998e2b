"""Following designs step by step, in tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from api.search import feed
from api.search.changes import has_change_streams
from api.search.following import Follower
from api.stores.stores import Stores


async def copy_designs(stores: Stores) -> None:
    """Let search know all designs as they are now."""
    follower = Follower(stores)
    assert await feed.take(stores.engine, follower.name) is not None
    await follower.copy(streams=await has_change_streams(stores.database))
    await feed.release(stores.engine, follower.name)


async def eventually(found: Callable[[], Awaitable[Any]], expected: Any) -> None:
    """Wait until it is found so; fails after 20 seconds with what is found instead."""
    for _ in range(200):
        if await found() == expected:
            return
        await asyncio.sleep(0.1)
    assert await found() == expected
