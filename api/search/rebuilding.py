"""Making everything that search knows anew."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import text

from api.search import feed
from api.search.changes import has_change_streams
from api.search.following import Follower
from api.stores.stores import Stores
from documents.schemas import DESIGNS
from migrations.search import index_items

Progress = Callable[[str, int, int], None]
"""Called with what is indexed, how many are done, and of how many."""


async def rebuild(stores: Stores, progress: Progress) -> tuple[int, int]:
    """Index all items and designs again. How many there are of each.

    Whoever follows designs is put off meanwhile, and goes on afterwards from where this began.
    """
    async with stores.engine.begin() as connection:
        await connection.run_sync(index_items)
        items = int(await connection.scalar(text("SELECT count(*) FROM catalog.item_search")) or 0)
    progress("catalog items", items, items)
    follower = Follower(stores)
    await feed.seize(stores.engine, follower.name)
    try:
        total = await stores.database[DESIGNS.name].estimated_document_count()
        await follower.copy(
            streams=await has_change_streams(stores.database),
            progress=lambda done: progress("designs", done, max(done, total)),
        )
    finally:
        await feed.release(stores.engine, follower.name)
    progress("designs", follower.copied, follower.copied)
    return items, follower.copied
