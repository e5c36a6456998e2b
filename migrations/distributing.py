"""Spreading both stores over the machines of their clusters, called from synchronous code.

Raises what the functions of `runner` raise.
"""

from __future__ import annotations

from collections.abc import Callable

import pymongo

from api.config.settings import Settings
from api.stores.mongodb.client import mongo_client, mongo_database, require_version
from migrations import clusters, sharding
from migrations.connection import LOCK_TIMEOUT, LOCK_WAIT, exclusive_connection
from migrations.errors import MigrationError, carry_out
from migrations.revisions import all_revisions, heads_of


def distribute(
    settings: Settings,
    say: Callable[[str], None],
    *,
    undo: bool = False,
    dry_run: bool = False,
    wait: float = LOCK_WAIT,
    lock_timeout: float = LOCK_TIMEOUT,
) -> int:
    """Spread PostgreSQL's tables over the workers of a Citus cluster and MongoDB's collections over the shards behind a
    mongos, whichever there is, or with `undo` bring them back.

    `say` gets a line for each step when it is done, and one for a store that is left as it is. A run that was
    interrupted goes on where it ended. With `dry_run`, the steps and their statements are said, and nothing is done.
    Returns how many steps there were. Raises MigrationError where neither store can be distributed.
    """
    return carry_out(_distribute(settings, say, undo=undo, dry_run=dry_run, wait=wait, lock_timeout=lock_timeout))


async def _distribute(
    settings: Settings, say: Callable[[str], None], *, undo: bool, dry_run: bool, wait: float, lock_timeout: float
) -> int:
    client = mongo_client(settings)
    try:
        database = mongo_database(settings, client)
        async with exclusive_connection(settings, wait=wait, lock_timeout=lock_timeout) as connection:
            with pymongo.timeout(settings.mongodb_selection_timeout):
                server = await sharding.look(database)
            require_version(client)
            scripts = all_revisions()
            if await connection.run_sync(heads_of, scripts) != tuple(scripts.get_heads()):
                raise MigrationError("the database is not at the newest revision: run `migrate run` first")
            return await clusters.distribute(connection, database, server, say, undo=undo, dry_run=dry_run)
    finally:
        await client.close()
