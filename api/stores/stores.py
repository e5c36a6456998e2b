"""The two stores of a running process: engine, sessions and MongoDB client, opened and closed by the lifespan."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Coroutine, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from beanie.odm.utils.init import Initializer
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from api.config.settings import Settings
from api.log import count_statement
from api.stores.breakers.breaker import Breaker
from api.stores.breakers.limits import Limits
from api.stores.calls import Calls
from api.stores.coalescing import Coalescer
from api.stores.mongodb.client import MongoClient, MongoDatabase, guarded_mongo_client, mongo_database
from api.stores.mongodb.nearby import CausalDatabase, cluster_time, nearby_database
from api.stores.mongodb.observation import ObservedMongo
from api.stores.postgres.connector import Connector, SpareConnection
from api.stores.postgres.distribution import Distribution
from api.stores.postgres.engine import PostgresGuard, dispose, postgres_engine
from api.stores.postgres.observation import ObservedPostgres
from api.stores.postgres.row_level_security import Identity, bound, enforce, first_statement, referring
from api.stores.postgres.schema_revisions import migrated
from api.stores.replicas.opening import open_replicas
from api.stores.replicas.position import Position
from api.stores.replicas.routing import Replicas, RoutedStatements, written
from documents import Design
from models.external_pooler import autocommit
from models.statements import Record, Statement, StatementRunner


@dataclass(frozen=True, slots=True)
class Stores:
    """Open connections to both stores.

    `reads` is `engine` in autocommit, with the same pool: a single SELECT needs no BEGIN and COMMIT. `statements` runs
    compiled statements; call it by `fetch`. `spare` and `spare_mongo` are connections beside the pools, for health
    checks.
    """

    engine: AsyncEngine
    reads: AsyncEngine
    statements: StatementRunner
    spare: SpareConnection
    sessions: async_sessionmaker[AsyncSession]
    mongo: MongoClient
    spare_mongo: MongoClient
    database: MongoDatabase
    breakers: tuple[Breaker, ...] = ()
    row_level_security: bool = False
    coalescer: Coalescer | None = None
    """Where reads of different requests go out together; None where each goes by itself."""
    answers: Coalescer | None = None
    """Where equal queries go together, for one answer; None where each goes by itself."""
    calls: Calls = field(default_factory=Calls)
    """What observes the statements and commands."""
    routed: RoutedStatements | None = None
    """What runs compiled statements of a query that is read from a replica."""
    replicas: Replicas | None = None
    """Where queries are read from, where they may be; None where all is read from the primary."""
    nearby: MongoDatabase | None = None
    """Where queries read designs from; None where that is the primary."""
    place: Hashable = None
    """Where these are read from, in words for reads that go together: only those of one place do."""
    distribution: Distribution = field(default_factory=Distribution)
    """Whether PostgreSQL's tables are distributed."""

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
        return dataclasses.replace(self, reads=engine, sessions=_sessions(engine, self.distribution))

    def for_query(self, seen: Position) -> Stores:
        """These stores for one query, which must see all of this: its statements may go to a replica."""
        replica = None if self.replicas is None else self.replicas.choose(seen)
        nearby = self.nearby
        if replica is None and nearby is None:
            return self
        routed = None if replica is None else RoutedStatements(replica, self.statements)
        place: Hashable = None if replica is None else replica.name
        if nearby is None:
            return dataclasses.replace(self, routed=routed, place=place)
        after = seen.cluster_time
        database = CausalDatabase(self.database, nearby, after) if after else nearby
        return dataclasses.replace(self, routed=routed, database=database, place=(place, after))

    @property
    def follows_writers(self) -> bool:
        """Whether queries are read where what somebody has just written may be missing."""
        return self.replicas is not None or self.nearby is not None

    async def position(self) -> Position:
        """How far the primaries are now, at least as far as all that was acknowledged. Raises what they raise."""
        time = 0 if self.nearby is None else cluster_time(self.mongo)
        if self.replicas is None:
            return Position(cluster_time=time)
        (row,) = await self.statements.fetch(written(), ())
        return Position(row["timeline"], row["wal"], time)

    def referring_to(self, ids: str) -> Stores:
        """These stores, where `reads` also sees the rows with these ids (separated by commas), whoever owns them."""
        if not self.row_level_security:
            return self
        return dataclasses.replace(self, reads=referring(self.reads, ids))

    def fetch(self, statement: Statement, values: Sequence[Any]) -> Coroutine[Any, Any, list[Record]]:
        """The rows of a compiled SELECT with these parameters, under the same rights as `reads`.

        Raises what `StatementRunner.fetch` raises.
        """
        first = first_statement(self.reads, self.distribution) if self.row_level_security else None
        return (self.routed or self.statements).fetch(statement, values, first)


def _sessions(engine: AsyncEngine, distribution: Distribution) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(engine, expire_on_commit=False, sync_session_class=distribution.session)


class _OfflineInitializer(Initializer):
    """Beanie's `init_beanie` without its calls to the server, which are only needed for time series and views.

    A process must be able to start while MongoDB is down, and to serve what only needs PostgreSQL.
    """

    async def _load_cached_info(self) -> None:
        pass


@contextlib.asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Both stores, open as long as the block runs. They connect lazily: nothing here waits for a server."""
    distribution = Distribution()
    guard = PostgresGuard(Limits.of(settings), Connector(settings, migrated, always=distribution.look))
    engine = postgres_engine(settings, guard=guard)
    spare = SpareConnection(guard.connect)
    try:
        client = guarded_mongo_client(settings)
        try:
            database = mongo_database(settings, client)
            await _OfflineInitializer(database=database, document_models=[Design], skip_indexes=True)
            if settings.row_level_security:
                enforce(engine, distribution)
            # what a statement shows depends on who asks, behind row-level security
            together = settings.coalescing and not settings.row_level_security
            calls, statements = Calls(), StatementRunner(engine, [count_statement])
            ObservedPostgres(calls, engine, statements)
            ObservedMongo(calls, client, client.prober)
            async with (
                guard.breaker.watching(),
                client.breaker.watching(),
                client.watching(),
                open_replicas(settings, guard, calls) as replicas,
            ):
                yield Stores(
                    engine=engine,
                    reads=autocommit(engine),
                    statements=statements,
                    spare=spare,
                    sessions=_sessions(engine, distribution),
                    distribution=distribution,
                    mongo=client,
                    spare_mongo=client.prober,
                    database=database,
                    breakers=(guard.breaker, client.breaker, *(each.guard.breaker for each in replicas or ())),
                    row_level_security=settings.row_level_security,
                    coalescer=Coalescer(calls) if together else None,
                    answers=Coalescer(calls) if together else None,
                    calls=calls,
                    replicas=replicas,
                    nearby=nearby_database(settings, client, database),
                )
        finally:
            await client.close()
    finally:
        await dispose(engine, spare, guard)
