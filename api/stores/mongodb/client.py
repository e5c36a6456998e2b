"""MongoDB: the client, its options, and the circuit breaker that no command gets past."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import Iterator, MutableMapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final

import pymongo
from pymongo import AsyncMongoClient, _csot
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, NotPrimaryError, PyMongoError, ServerSelectionTimeoutError
from pymongo.read_preferences import ReadPreference
from pymongo.server_api import ServerApi

from api.background import in_background
from api.config.settings import ConfigurationError, Settings
from api.errors import StoreUnfit
from api.log import CommandCounter, logger
from api.stores.breakers.breaker import TICKS, Breaker
from api.stores.breakers.limits import GRACE, Limits
from api.stores.mongodb.nearby import CausalDatabase
from api.stores.mongodb.steady_client import SteadyClient
from documents.decoding import Codec

if TYPE_CHECKING:
    from api.stores.mongodb.direct_reads import DirectRead

PATIENCE: Final = 1.0
"""Seconds that a member of the replica set gets that isn't the primary, for what must come after a write."""
MongoDatabase = AsyncDatabase[dict[str, Any]]
MongoClient = AsyncMongoClient[dict[str, Any]]

_OLDEST: Final = 17
"""The wire version of MongoDB 6.0, https://github.com/mongodb/mongo/blob/master/src/mongo/db/wire_version.h"""


def require_version(client: AsyncMongoClient[dict[str, Any]]) -> None:
    """Raise StoreUnfit where a server that the client knows is too old. The servers' greetings told their versions.

    Only `$documents` (5.1) would be missing, but an error at the start is better than one in some lists.
    """
    known = client.topology_description.known_servers
    if any(server.max_wire_version < _OLDEST for server in known):
        reason = "the server is older than MongoDB 6.0, or speaks an older protocol, as Amazon DocumentDB does"
        raise StoreUnfit("MongoDB", reason, lasts=True)


class GuardedClient(SteadyClient):
    """A client that asks its breaker before every command, also before later batches of cursors.

    `timeout` is the deadline of a command with its retries, in seconds; the server gets it as `maxTimeMS`. The driver
    waits a little longer, so that the server can answer. By itself, the driver would look for a usable server as long;
    here that has its own deadline, `serverSelectionTimeoutMS`.
    """

    def __init__(self, uri: str, limits: Limits, *, timeout: float, **options: Any) -> None:
        self.breaker = Breaker("MongoDB", limits, _is_mongo_failure)
        self.breaker.probe = self._probe
        milliseconds = int(limits.probe_timeout * 1000)
        # a client of its own, since all connections of this one may be in use; it connects with the first probe
        self.prober = SteadyClient(
            uri,
            **options | {"connectTimeoutMS": milliseconds, "serverSelectionTimeoutMS": milliseconds, "minPoolSize": 0},
        )
        super().__init__(uri, timeoutMS=int((timeout + GRACE) * 1000), **options)
        self.line = self.breaker.line

    async def close(self) -> None:
        await asyncio.gather(self.prober.close(), super().close())

    def watching(self) -> AbstractAsyncContextManager[None]:
        """Watch over the pool as long as the block runs."""
        return in_background(self._watch())

    async def _watch(self) -> None:
        """Replace the connections when the pool hands out none although the server answers.

        While no connection is in use, the driver only has to wait for a server and its greeting; anything longer is a
        hang.
        """
        limits, options = self.breaker.limits, self.options
        longest = options.server_selection_timeout + (options.pool_options.connect_timeout or 0) + limits.patience
        while True:
            await asyncio.sleep(limits.patience / TICKS)
            if self.breaker.is_open:
                self.starved_since = None
            elif self.is_starved(longest):
                if not await self.breaker.answers():
                    self.starved_since = None  # the server is the reason
                elif self.is_starved(longest):
                    waiting = self.renew()
                    logger.error("store's connections replaced, they hung", store="MongoDB", waiting=waiting)

    async def _probe(self) -> None:
        await self.prober.admin.command("ping")

    async def _retry_internal(self, *args: Any, **kwargs: Any) -> Any:
        with self.breaker.call():
            return await super()._retry_internal(*args, **kwargs)

    async def run_read(
        self, database: MongoDatabase, command: MutableMapping[str, Any], codec: Codec
    ) -> dict[str, Any]:
        self.breaker.check()
        if isinstance(database, CausalDatabase):
            asked = {**command, "readConcern": database.concern}
            try:
                with pymongo.timeout(PATIENCE):
                    return await super().run_read(database.nearby, asked, codec)
            except PyMongoError as error:  # whatever it is: the primary has it
                logger.debug("read from the primary", store="MongoDB", cause=repr(error))
        return await super().run_read(database, command, codec)

    async def run_directly(self, read: DirectRead, _: object = None) -> dict[str, Any]:
        with self.breaker.call():
            return await super().run_directly(read)

    def left_to_server(self, left: float, round_trip: float) -> float:
        """A little less than the driver has: else both would give up at once, and the connection would be lost."""
        return left - min(GRACE, left / 2)

    async def _select_server(self, *args: Any, **kwargs: Any) -> Any:
        await self._get_topology()  # opening it is not part of the selection
        with pymongo.timeout(self.options.server_selection_timeout):
            server = await super()._select_server(*args, **kwargs)
        left = _csot.remaining()
        if left is not None:
            # this is set in the context of this command only
            _csot.set_rtt(left - self.left_to_server(left, 0.0))
        return server


def _is_mongo_failure(error: Exception) -> bool | None:
    """Whether the server is unreachable. A lost connection doesn't tell: the driver still looks for the server
    again."""
    if isinstance(error, ServerSelectionTimeoutError):
        return True
    return None if isinstance(error, ConnectionFailure) and not isinstance(error, NotPrimaryError) else False


def mongo_client(settings: Settings) -> MongoClient:
    """A client of the configured server. It belongs to the running event loop, so it is made in the lifespan.

    Raises ConfigurationError where no server is configured, or the driver can't read the URI.
    """
    with _mongodb_uri_read():
        return AsyncMongoClient(_mongodb_url(settings), **_mongo_options(settings))


def guarded_mongo_client(settings: Settings) -> GuardedClient:
    """A client of the configured server with a breaker, and a deadline for each command."""
    with _mongodb_uri_read():
        return GuardedClient(
            _mongodb_url(settings), Limits.of(settings), timeout=settings.statement_timeout, **_mongo_options(settings)
        )


@contextlib.contextmanager
def _mongodb_uri_read() -> Iterator[None]:
    """Turn warnings of the driver, such as those about unknown options, into errors: nobody would see warnings."""
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
        # a year beyond Python's, or bytes that are no text, must not fail all documents in the reply
        "datetime_conversion": "DATETIME_AUTO",
        "unicode_decode_error_handler": "replace",
        "maxPoolSize": settings.mongodb_max_pool_size,
        "minPoolSize": settings.mongodb_min_pool_size,
        "maxIdleTimeMS": int(settings.mongodb_max_idle_time * 1000),
        "connectTimeoutMS": int(settings.mongodb_connect_timeout * 1000),
        "serverSelectionTimeoutMS": int(settings.mongodb_selection_timeout * 1000),
        "socketTimeoutMS": int(settings.statement_timeout * 1000),
        "event_listeners": [CommandCounter()],
        # not strict: dbStats and text indexes are not part of the Stable API
        "server_api": ServerApi(settings.mongodb_api_version) if settings.mongodb_api_version else None,
        **tls,
    }


def mongo_database(settings: Settings, client: MongoClient) -> MongoDatabase:
    """The database by MONGODB_DATABASE, else by the URI, else `fashion_wallet`.

    It is read on the primary, whatever the URI prefers: that is for queries alone (`api/stores/mongodb/nearby.py`).
    """
    if settings.mongodb_database:
        database = client[settings.mongodb_database]
    else:
        database = client.get_default_database("fashion_wallet")
    return database.with_options(read_preference=ReadPreference.PRIMARY)
