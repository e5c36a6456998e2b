"""Following designs step by step, in tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from api.live.change_streams import has_change_streams
from api.search import feed
from api.search.following import Follower
from api.stores.stores import Stores
from tests.support.factories.designs import designs
from tests.support.waiting import pause


async def copy_designs(stores: Stores) -> None:
    """Let search know all designs as they are now."""
    follower = Follower(stores)
    assert await feed.take(stores.engine, follower.name) is not None
    await follower.copy(streams=await has_change_streams(stores.database))
    await feed.release(stores.engine, follower.name)


async def eventually(found: Callable[[], Awaitable[Any]], expected: Any) -> None:
    """Wait until it is found so; fails after a minute with what is found instead."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            while await found() != expected:
                await pause()
    assert await found() == expected


async def change_design(stores: Stores, id: ObjectId, **values: Any) -> None:
    """Change a design as another program may, which notes the time."""
    await designs(stores).collection.update_one({"_id": id}, {"$set": values | {"updatedAt": datetime.now(UTC)}})


async def delete_design(stores: Stores, id: ObjectId) -> None:
    """Delete a design; only mark it as deleted where nothing else is heard of, for want of change streams."""
    if await has_change_streams(stores.database):
        await designs(stores).collection.delete_one({"_id": id})
    else:
        await change_design(stores, id, deletedAt=datetime.now(UTC))
