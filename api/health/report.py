"""The results of health checks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


@dataclass(frozen=True, slots=True)
class ConnectionCounts:
    """Connections of this process's pool: `total` is `active` (in use or being opened) plus `idle`.

    The check's own connection counts as idle, which it is before and after.
    """

    total: int
    active: int
    idle: int


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """What the server says of itself: client connections to this database by state, of all its clients.

    `other` are those whose state this user may not see, or that none of the names fits. The check's own
    connection counts as idle.
    """

    version: str
    max_connections: int
    total: int
    active: int
    idle: int
    idle_in_transaction: int
    other: int


@dataclass(frozen=True, slots=True)
class ReplicaHealth:
    """Whether queries are read from a replica of PostgreSQL, and if not, why (`error`).

    `lag` is in seconds, as it was when the replica was last looked at; None where it has never been known.
    """

    name: str
    error: str | None
    cut_off: bool
    lag: float | None


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A node of a Citus cluster over which tables are distributed: whether the coordinator reaches it, and how many
    shards of these tables it has. `id` is its number in `pg_dist_node`."""

    id: int
    is_coordinator: bool
    reachable: bool
    shards: int


@dataclass(frozen=True, slots=True)
class PostgresHealth:
    """`response_time` is in milliseconds: until the answer, or until the check gave up.

    `error` is set exactly when `healthy` is false. `cut_off` tells whether requests are refused without asking the
    store. `server` is None where it was not asked for or did not come in time. `replicas` don't decide about `healthy`,
    since the primary stands in for them; nor do `nodes`, since each has rows of its own. These are None where no table
    is distributed, and where they were not asked for or did not come in time.
    """

    healthy: bool
    response_time: int
    error: str | None
    cut_off: bool
    connections: ConnectionCounts
    server: PostgresServer | None
    replicas: tuple[ReplicaHealth, ...] = ()
    nodes: tuple[ClusterNode, ...] | None = None


class MongodbState(Enum):
    """How the driver sees the deployment, from its last heartbeats."""

    CONNECTED = "connected"
    READ_ONLY = "readOnly"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class MongodbServer:
    """What the server says of the database (dbStats); sizes are in bytes."""

    version: str
    collections: int
    objects: int
    data_size: int
    indexes: int
    index_size: int


@dataclass(frozen=True, slots=True)
class MongodbHealth:
    """As for PostgreSQL. `topology` is the driver's name for the deployment: Single, ReplicaSetWithPrimary, ..."""

    healthy: bool
    response_time: int
    error: str | None
    cut_off: bool
    state: MongodbState
    topology: str
    server: MongodbServer | None


@dataclass(frozen=True, slots=True)
class Health:
    """The result of one check, begun at `timestamp`."""

    timestamp: datetime
    postgres: PostgresHealth
    mongodb: MongodbHealth

    @property
    def healthy(self) -> bool:
        return self.postgres.healthy and self.mongodb.healthy
