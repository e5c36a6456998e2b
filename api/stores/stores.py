"""The two stores of a running process: engine, sessions and MongoDB client, opened and closed by the lifespan."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import warnings
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from beanie.odm.utils.init import Initializer
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.server_api import ServerApi
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from api.config.settings import ConfigurationError, Settings
from api.log import CommandCounter, count_statement, count_statements
from api.stores.breakers import Breaker, Limits
from api.stores.connecting import Check, Connector, Spare
from api.stores.guards import GuardedClient, GuardedPool, PostgresGuard, watching
from api.stores.mongodb import CLOSING
from api.stores.revisions import migrated
from api.stores.row_level_security import Identity, bound, enforce, first_statement, referring
from documents import Design
from models.pool import ConnectionPool, drop_lost_connections
from models.pooler import POOLED_OPTIONS, UNNAMED, autocommit
from models.statements import Record, Statement, StatementRunner

MongoDatabase = AsyncDatabase[dict[str, Any]]
MongoClient = AsyncMongoClient[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Stores:
    """Open connections to both stores.

    `reads` shares its pool with `engine` in autocommit: a single SELECT needs no BEGIN and COMMIT around it.
    `statements` runs those that are compiled once; `fetch` is the way to it. `spare` and
    `spare_mongo` are beside the pools, for questions about the servers.
    """

    engine: AsyncEngine
    reads: AsyncEngine
    statements: StatementRunner
    spare: Spare
    sessions: async_sessionmaker[AsyncSession]
    mongo: MongoClient
    spare_mongo: MongoClient
    database: MongoDatabase
    breakers: tuple[Breaker, ...] = ()
    row_level_security: bool = False

    def is_cut_off(self, store: str) -> bool:
        """Whether this store's breaker is open."""
        return any(breaker.store == store and breaker.is_open for breaker in self.breakers)

    def acting_as(self, identity: Identity) -> Stores:
        """These stores for one request: under row-level security `reads` and `sessions` act as this identity.

        `engine` stays the connected user's.
        """
        if not self.row_level_security:
            return self
        engine = bound(self.engine, identity)
        return dataclasses.replace(self, reads=engine, sessions=async_sessionmaker(engine, expire_on_commit=False))

    def referring_to(self, ids: str) -> Stores:
        """These stores, with `reads` allowed to see the rows of these ids (with commas) too, whoever they belong to."""
        if not self.row_level_security:
            return self
        return dataclasses.replace(self, reads=referring(self.reads, ids))

    def fetch(self, statement: Statement, values: Sequence[Any]) -> Coroutine[Any, Any, list[Record]]:
        """The rows of a compiled SELECT with these values of its parameters, read as `reads` would.

        Raises what `StatementRunner.fetch` raises.
        """
        first = first_statement(self.reads) if self.row_level_security else None
        return self.statements.fetch(statement, values, first)


def postgres_engine(settings: Settings, *checks: Check, guard: PostgresGuard | None = None) -> AsyncEngine:
    """An engine on the configured server, not yet connected. A guard looks after its pool, and has a connector.

    Raises ConfigurationError where no server is configured, or one that the driver can't connect to.
    """
    connector = Connector(settings, *checks) if guard is None else guard.connector
    engine = create_async_engine(
        "postgresql+asyncpg://",  # where it is, only the connector knows
        poolclass=ConnectionPool if guard is None else GuardedPool,
        pool_size=settings.postgres_pool_size,
        max_overflow=settings.postgres_max_overflow,
        pool_timeout=settings.postgres_pool_timeout,
        pool_recycle=settings.postgres_pool_recycle,
        pool_use_lifo=True,
        hide_parameters=True,  # errors are logged, and parameters may be password hashes
        json_serializer=lambda value: orjson.dumps(value).decode(),
        connect_args={
            "async_creator_fn": connector if guard is None else guard.connect,
            **(UNNAMED if connector.is_pooled else {}),
        },
        execution_options=POOLED_OPTIONS if connector.is_pooled else {},
    )
    if guard is not None:
        guard.guard(engine)
    count_statements(engine)
    drop_lost_connections(engine.sync_engine)
    event.listen(engine.sync_engine, "connect", _decode_jsonb)
    return engine


def _decode_jsonb(connection: Any, _: object) -> None:
    """Have orjson decode JSONB from the bytes that come; SQLAlchemy's way copies them twice.

    In binary, with the version in front, since text can't be copied (COPY) to a table.
    """
    connection.run_async(
        lambda driver: driver.set_type_codec(
            "jsonb",
            encoder=lambda text: b"\x01" + text.encode(),
            decoder=_json,
            schema="pg_catalog",
            format="binary",
        )
    )


def _json(data: bytes) -> Any:
    """What orjson refuses (numbers beyond what computers count with, a thousand levels) must not cost other rows."""
    try:
        return orjson.loads(data[1:])
    except orjson.JSONDecodeError:
        try:
            return json.loads(data[1:])
        except (ValueError, RecursionError):
            return None


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


class _OfflineInitializer(Initializer):
    """Beanie's `init_beanie` without its questions to the server, which only time series and views need.

    A process must come up while MongoDB is down, and serve what needs only PostgreSQL.
    """

    async def _load_cached_info(self) -> None:
        pass


@contextlib.asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Both stores for as long as the block lasts. Connects lazily: nothing here waits for a server."""
    guard = PostgresGuard(Limits.of(settings), Connector(settings, migrated))
    engine = postgres_engine(settings, guard=guard)
    spare = Spare(guard.connect)
    try:
        client = guarded_mongo_client(settings)
        try:
            database = mongo_database(settings, client)
            await _OfflineInitializer(database=database, document_models=[Design], skip_indexes=True)
            if settings.row_level_security:
                enforce(engine)
            breakers = guard.breaker, client.breaker
            async with watching(*breakers), client.watching():
                yield Stores(
                    engine=engine,
                    reads=autocommit(engine),
                    statements=StatementRunner(engine, [count_statement]),
                    spare=spare,
                    sessions=async_sessionmaker(engine, expire_on_commit=False),
                    mongo=client,
                    spare_mongo=client.prober,
                    database=database,
                    breakers=breakers,
                    row_level_security=settings.row_level_security,
                )
        finally:
            await client.close()
    finally:
        await _dispose(engine, spare, guard)


async def _dispose(engine: AsyncEngine, spare: Spare, guard: PostgresGuard) -> None:
    """Close the connections, without a word where the server doesn't say goodbye."""
    closing = {asyncio.create_task(engine.dispose()), asyncio.create_task(spare.close())}
    _, slow = await asyncio.wait(closing, timeout=CLOSING)
    if slow:
        guard.breaker.hang_up()
        await asyncio.wait(slow, timeout=CLOSING)
