"""Making everything that search knows anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import text

from api.live.change_streams import has_change_streams
from api.search import feed
from api.search.following import Follower
from api.stores.stores import Stores
from documents.schemas import DESIGNS
from migrations.search import FIRST, index_these, items_after
from migrations.search_language import language_differs, set_language

Progress = Callable[[str, int, int], None]
"""Called with what is indexed, how many are done, and of how many."""


MOST: Final = 500
"""Items that are indexed in one transaction; whoever changes one of them waits for its end."""


async def rebuild(stores: Stores, language: str, progress: Progress) -> tuple[int, int]:
    """Index all items and designs again, in this language. How many there are of each.

    Whoever follows designs is put off meanwhile, and goes on afterwards from where this began.
    """
    async with stores.engine.begin() as connection:
        if await connection.run_sync(language_differs, language):
            await connection.run_sync(set_language, language)
    items = await _index_items(stores, progress)
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


async def _index_items(stores: Stores, progress: Progress) -> int:
    """Index all items again, some at a time. How many there are."""
    async with stores.reads.connect() as connection:
        total = int(await connection.scalar(text("SELECT count(*) FROM catalog.catalog_items")) or 0)
    done, last, busy = 0, FIRST, list[str]()
    while True:
        async with stores.engine.begin() as connection:
            ids = await connection.run_sync(items_after, last, MOST)
            if ids:
                busy += await connection.run_sync(index_these, ids, wait=False)
        if not ids:
            break
        done, last = done + len(ids), ids[-1]
        progress("catalog items", done, max(done, total))
    for each in busy:
        async with stores.engine.begin() as connection:
            await connection.run_sync(index_these, [each], wait=True)
    return done
