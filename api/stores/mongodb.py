"""MongoDB: the client, its options, and the circuit breaker that no command gets past."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import pymongo
from pymongo import AsyncMongoClient, _csot
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, NotPrimaryError, PyMongoError, ServerSelectionTimeoutError
from pymongo.server_api import ServerApi

from api.config.settings import ConfigurationError, Settings
from api.errors import StoreUnfit
from api.log import CommandCounter, logger
from api.stores.background import in_background
from api.stores.breakers import TICKS, Breaker, Limits
from api.stores.connector import GRACE
from api.stores.steady_client import SteadyClient

MongoDatabase = AsyncDatabase[dict[str, Any]]
MongoClient = AsyncMongoClient[dict[str, Any]]

_OLDEST: Final = 17
"""The wire version of MongoDB 6.0, https://github.com/mongodb/mongo/blob/master/src/mongo/db/wire_version.h"""


def require_version(client: AsyncMongoClient[dict[str, Any]]) -> None:
    """Raise StoreUnfit where a server that the client knows is too old. Asks nobody: their greetings have said it.

    Only `$documents` (5.1) would be missed, but an error in some lists is worse than one at the start.
    """
    known = client.topology_description.known_servers
    if any(server.max_wire_version < _OLDEST for server in known):
        reason = "the server is older than MongoDB 6.0, or speaks an older protocol, as Amazon DocumentDB does"
        raise StoreUnfit("MongoDB", reason, lasts=True)


class GuardedClient(SteadyClient):
    """A client that asks its breaker before every command, cursors' later batches included.

    `timeout` is the deadline of a command with its retries, in seconds, and reaches the server as `maxTimeMS`. The
    driver waits a little longer, to be told so. It would look for a usable server as long; here that keeps the deadline
    of its own, `serverSelectionTimeoutMS`.
    """

    def __init__(self, uri: str, limits: Limits, *, timeout: float, **options: Any) -> None:
        self.breaker = Breaker("MongoDB", limits, _is_mongo_failure)
        self.breaker.probe = self._probe
        milliseconds = int(limits.probe_timeout * 1000)
        # connections of its own: ours may all be in use; it opens none before the first probe or health check
        self.prober = SteadyClient(
            uri,
            **options | {"connectTimeoutMS": milliseconds, "serverSelectionTimeoutMS": milliseconds, "minPoolSize": 0},
        )
        super().__init__(uri, timeoutMS=int((timeout + GRACE) * 1000), **options)

    async def close(self) -> None:
        await asyncio.gather(self.prober.close(), super().close())

    def watching(self) -> AbstractAsyncContextManager[None]:
        """Watch over the pool for as long as the block lasts."""
        return in_background(self._watch())

    async def _watch(self) -> None:
        """Replace the connections where the pool hands out none though the server answers.

        All that the driver may wait for before it has a connection, where none is in use, is a server and its greeting.
        """
        limits, options = self.breaker.limits, self.options
        longest = options.server_selection_timeout + (options.pool_options.connect_timeout or 0) + limits.patience
        while True:
            await asyncio.sleep(limits.patience / TICKS)
            if self.breaker.is_open:
                self.starved_since = None
            elif self.is_starved(longest):
                if not await self.breaker.answers():
                    self.starved_since = None  # it is the server
                elif self.is_starved(longest):
                    waiting = self.renew()
                    logger.error("store's connections replaced, they hung", store="MongoDB", waiting=waiting)

    async def _probe(self) -> None:
        await self.prober.admin.command("ping")

    async def _retry_internal(self, *args: Any, **kwargs: Any) -> Any:
        with self.breaker.call():
            return await super()._retry_internal(*args, **kwargs)

    async def _select_server(self, *args: Any, **kwargs: Any) -> Any:
        await self._get_topology()  # opens it, which is no part of the selection
        with pymongo.timeout(self.options.server_selection_timeout):
            server = await super()._select_server(*args, **kwargs)
        left = _csot.remaining()
        if left is not None:
            # the server gets so much less time than the driver has: else both give up at once, and with them the
            # connection. It is set in the context of this command alone
            _csot.set_rtt(min(GRACE, left / 2))
        return server


def _is_mongo_failure(error: Exception) -> bool | None:
    """A lost connection says nothing yet: many are lost at once, and the driver looks for the server again."""
    if isinstance(error, ServerSelectionTimeoutError):
        return True
    return None if isinstance(error, ConnectionFailure) and not isinstance(error, NotPrimaryError) else False


def mongo_client(settings: Settings) -> MongoClient:
    """A client of the configured server; it belongs to the running event loop, so it is made in the lifespan.

    Raises ConfigurationError where no server is configured, or by a URI that the driver can't read.
    """
    with _mongodb_uri_read():
        return AsyncMongoClient(_mongodb_url(settings), **_mongo_options(settings))


def guarded_mongo_client(settings: Settings) -> GuardedClient:
    """The same with a breaker, and a deadline for each command."""
    with _mongodb_uri_read():
        return GuardedClient(
            _mongodb_url(settings), Limits.of(settings), timeout=settings.statement_timeout, **_mongo_options(settings)
        )


@contextlib.contextmanager
def _mongodb_uri_read() -> Iterator[None]:
    """What the driver only warns of, options that it doesn't know among them, is an error: nobody would see it."""
    with warnings.catch_warnings(action="error", category=UserWarning):
        try:
            yield
        except (UserWarning, ValueError, PyMongoError) as error:
            text = str(error).partition(". Did you mean")[0].removesuffix(".")
            raise ConfigurationError(f"MONGODB_URI: {text}") from None


def _mongodb_url(settings: Settings) -> str:
    if settings.mongodb_url is None:
        raise ConfigurationError("MONGODB_URI is not set")
    return settings.mongodb_url


def _mongo_options(settings: Settings) -> dict[str, Any]:
    tls = {"tlsCAFile": str(settings.mongodb_tls_ca_file)} if settings.mongodb_tls_ca_file else {}
    return {
        "appname": "fashion-wallet",
        "tz_aware": True,
        # a year that Python doesn't know, or bytes that are no text, must not cost all documents that come with it
        "datetime_conversion": "DATETIME_AUTO",
        "unicode_decode_error_handler": "replace",
        "maxPoolSize": settings.mongodb_max_pool_size,
        "minPoolSize": settings.mongodb_min_pool_size,
        "maxIdleTimeMS": int(settings.mongodb_max_idle_time * 1000),
        "connectTimeoutMS": int(settings.mongodb_connect_timeout * 1000),
        "serverSelectionTimeoutMS": int(settings.mongodb_selection_timeout * 1000),
        "socketTimeoutMS": int(settings.statement_timeout * 1000),
        "event_listeners": [CommandCounter()],
        # not strict: dbStats and text indexes are in no version of it
        "server_api": ServerApi(settings.mongodb_api_version) if settings.mongodb_api_version else None,
        **tls,
    }


def mongo_database(settings: Settings, client: MongoClient) -> MongoDatabase:
    """The database of the settings, else of the URI, else `fashion_wallet`."""
    if settings.mongodb_database:
        return client[settings.mongodb_database]
    return client.get_default_database("fashion_wallet")
