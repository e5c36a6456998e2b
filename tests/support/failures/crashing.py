"""A process for tests that kill it: it begins to delete or restore users, and goes on when it is told to.

    python -m tests.support.failures.crashing delete <user id>...

It prints a line when it is ready, and one when the first step is done; before each step it waits for a line.
"""

from __future__ import annotations

import asyncio
import sys
from uuid import UUID

from api.accounts.auth import Auth
from api.config.settings import load_settings
from api.fields.context import Context
from api.rights.viewer import SYSTEM
from api.schema import DOMAINS
from api.stores.stores import open_stores
from api.users.deletion import operations

BEGIN = {"delete": operations.begin_deletion, "restore": operations.begin_restoration}


async def main(kind: str, user_ids: list[UUID]) -> None:
    settings = load_settings()
    async with open_stores(settings) as stores:
        context = Context(stores, settings, "crashing", DOMAINS, Auth(settings), SYSTEM)
        await next_line("ready")
        begun = [await BEGIN[kind](context, user_id) for user_id in user_ids]
        await next_line("begun")
        await asyncio.gather(*(operations.finish(context, each) for each in begun))
        await next_line("finished")


async def next_line(done: str) -> None:
    sys.stdout.write(f"{done}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], [UUID(id) for id in sys.argv[2:]]))
