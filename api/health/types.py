"""Health as GraphQL shows it: the same checks as `/health/database`, without the servers' own figures."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Self

import strawberry

from api.health import report


@strawberry.enum(description="Whether every store answers.")
class HealthStatus(Enum):
    HEALTHY = strawberry.enum_value("healthy", description="PostgreSQL and MongoDB both answer.")
    UNHEALTHY = strawberry.enum_value("unhealthy", description="At least one of the stores does not answer.")


@strawberry.enum(description="How the API sees the MongoDB deployment, from the driver's last heartbeats.")
class MongodbState(Enum):
    CONNECTED = strawberry.enum_value("connected", description="A server that takes writes is known.")
    READ_ONLY = strawberry.enum_value("readOnly", description="Servers are known, but none that takes writes.")
    DISCONNECTED = strawberry.enum_value("disconnected", description="No server is reachable.")


@strawberry.type(
    description="Connections to PostgreSQL of the process that answers. The health check's own counts as idle."
)
class ConnectionCounts:
    total: int = strawberry.field(description="Connections in the pool: active and idle.")
    active: int = strawberry.field(description="Connections in use, or being opened.")
    idle: int = strawberry.field(description="Connections waiting to be used.")


@strawberry.type(description="Whether PostgreSQL answers.")
class PostgresHealth:
    healthy: bool = strawberry.field(description="Whether it answered in time.")
    response_time: int = strawberry.field(
        description="Milliseconds until the answer, or until the check gave up, with the wait for a connection."
    )
    error: str | None = strawberry.field(description="Why it did not answer; null when healthy.")
    connections: ConnectionCounts = strawberry.field(description="This process's connection pool.")

    @classmethod
    def from_check(cls, check: report.PostgresHealth) -> Self:
        counts = check.connections
        return cls(
            healthy=check.healthy,
            response_time=check.response_time,
            error=check.error,
            connections=ConnectionCounts(total=counts.total, active=counts.active, idle=counts.idle),
        )


@strawberry.type(description="Whether MongoDB answers.")
class MongodbHealth:
    healthy: bool = strawberry.field(description="Whether it answered in time.")
    response_time: int = strawberry.field(
        description="Milliseconds until the answer, or until the check gave up, with the wait for a connection."
    )
    error: str | None = strawberry.field(description="Why it did not answer; null when healthy.")
    state: MongodbState = strawberry.field(description="The state of the connection.")

    @classmethod
    def from_check(cls, check: report.MongodbHealth) -> Self:
        return cls(
            healthy=check.healthy,
            response_time=check.response_time,
            error=check.error,
            state=MongodbState(check.state.value),
        )


@strawberry.type(description="The check of each store.")
class HealthChecks:
    postgres: PostgresHealth = strawberry.field(description="PostgreSQL: users, avatars and catalog items.")
    mongodb: MongodbHealth = strawberry.field(description="MongoDB, which holds designs.")


@strawberry.type(description="Whether the API can reach its stores.")
class Health:
    status: HealthStatus = strawberry.field(description="The checks in one word.")
    timestamp: datetime = strawberry.field(description="When the checks began.")
    checks: HealthChecks = strawberry.field(description="Each store's check.")

    @classmethod
    def from_check(cls, check: report.Health) -> Self:
        return cls(
            status=HealthStatus.HEALTHY if check.healthy else HealthStatus.UNHEALTHY,
            timestamp=check.timestamp,
            checks=HealthChecks(
                postgres=PostgresHealth.from_check(check.postgres),
                mongodb=MongodbHealth.from_check(check.mongodb),
            ),
        )
