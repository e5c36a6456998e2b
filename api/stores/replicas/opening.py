"""Opening the replicas that the settings name, and watching them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from pydantic import SecretStr

from api.config.settings import Settings
from api.stores.calls import Calls
from api.stores.postgres.engine import PostgresGuard
from api.stores.postgres.observation import ObservedPostgres
from api.stores.replicas.lag import watching
from api.stores.replicas.replica import Replica
from api.stores.replicas.routing import Replicas


@contextlib.asynccontextmanager
async def open_replicas(settings: Settings, primary: PostgresGuard, calls: Calls) -> AsyncIterator[Replicas | None]:
    """The replicas of DATABASE_REPLICA_URLS, which are looked at as long as the block runs; None without any."""
    urls = settings.replica_urls
    if not urls:
        yield None
        return
    changes = {"migration_database_url": None, "postgres_connect_timeout": settings.replica_timeout}
    async with contextlib.AsyncExitStack() as stack:
        opened = []
        for number, url in enumerate(urls, 1):
            ours = settings.model_copy(update=changes | {"database_url": SecretStr(url)})
            replica = Replica(number, ours)
            stack.push_async_callback(replica.close)
            ObservedPostgres(calls, replica.engine, replica.statements)
            await stack.enter_async_context(replica.guard.breaker.watching())
            opened.append(replica)
        replicas = Replicas(opened, settings.replica_max_lag)
        await stack.enter_async_context(watching(replicas, primary, settings.replica_timeout))
        yield replicas
