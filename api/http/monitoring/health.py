"""REST for probes: `/health`, `/health/database`, `/livez`, `/readyz`. All answer GET and HEAD, uncached."""

from __future__ import annotations

import asyncio
import hmac
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.config.settings import Settings
from api.health import report, store
from api.live.live import Live
from api.log import logger


def routes() -> list[Route]:
    """The probes' routes. They read `stores`, `settings`, and if any `draining` and `search_lag` of `app.state`."""
    return [
        Route("/health", _health),
        Route("/health/database", _database),
        Route("/livez", _live),
        Route("/readyz", _ready),
    ]


def timestamp(moment: datetime) -> str:
    """UTC with milliseconds: `2025-11-17T10:30:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


async def _health(request: Request) -> Response:
    """`{status, timestamp}`: 200, or 503 when a store does not answer."""
    health = await _check(request)
    return _answer(health.healthy, _summary(health))


async def _database(request: Request) -> Response:
    """As `/health`, with the `checks` of each store: response times, and figures for those who may see them."""
    may = _sees_figures(request)
    if may is None:
        body = {"error": "The token is not HEALTH_TOKEN."}
        return _answer(False, body, 401, {"WWW-Authenticate": "Bearer"})
    health = await _check(request, detailed=may)
    if may:
        checks = {"postgres": _postgres(health.postgres), "mongodb": _mongodb(health.mongodb)}
        if (way := await _way_of_live_updates(request, health.mongodb)) is not None:
            checks["mongodb"]["liveUpdates"] = way
        lag = getattr(request.app.state, "search_lag", None)
        if lag is not None and lag.seconds is not None:
            checks["search"] = {"secondsBehind": round(lag.seconds, 1)}
    else:
        checks = {"postgres": _outcome(health.postgres), "mongodb": _outcome(health.mongodb)}
    return _answer(health.healthy, {**_summary(health), "checks": checks})


async def _way_of_live_updates(request: Request, mongodb: report.MongodbHealth) -> str | None:
    """How changes of designs are heard of: `changeStream` or `reading`; None where MongoDB doesn't answer."""
    live: Live | None = getattr(request.app.state, "live", None)
    if live is None or not mongodb.healthy:
        return None
    try:
        async with asyncio.timeout(request.app.state.settings.health_timeout):
            return (await live.way_of_designs()).value
    except Exception as error:  # it has gone away since it was asked
        logger.debug("live updates: no answer", store="MongoDB", cause=repr(error))
        return None


def _sees_figures(request: Request) -> bool | None:
    """Whether this client may see figures: it sends HEALTH_TOKEN. In development without one, everybody may.

    None for a client that sends another token.
    """
    settings: Settings = request.app.state.settings
    given = request.headers.get("authorization")
    if settings.health_token is None:
        return not settings.is_production
    if given is None:
        return False
    scheme, _, token = given.partition(" ")
    right = hmac.compare_digest(token.strip().encode(), settings.health_token.get_secret_value().encode())
    return True if right and scheme.lower() == "bearer" else None


async def _live(request: Request) -> Response:
    """Always 200, as long as the process answers. It asks no store: restarting the process would not mend one."""
    return _answer(True, {"status": "alive", "timestamp": timestamp(datetime.now(UTC))})


async def _ready(request: Request) -> Response:
    """200 when requests can be served.

    503 when a store does not answer or isn't migrated (`unready`, with `errors`), or the server is `draining`.
    """
    if getattr(request.app.state, "draining", False):
        return _answer(False, {"status": "draining", "timestamp": timestamp(datetime.now(UTC))})
    health = await _check(request)
    checks = {"postgres": health.postgres.error, "mongodb": health.mongodb.error}
    errors = {name: error for name, error in checks.items() if error is not None}
    _note_change(request.app.state, errors)
    body: dict[str, Any] = {"status": "unready" if errors else "ready", "timestamp": timestamp(health.timestamp)}
    if unread := {each.name: each.error for each in health.postgres.replicas if each.error is not None}:
        body["replicas"] = unread  # the primary stands in for them
    return _answer(health.healthy, {**body, "errors": errors} if errors else body)


def _note_change(state: State, errors: dict[str, str]) -> None:
    """Log when the process becomes unready, and ready again: probes come every second."""
    ready = not errors
    if ready is getattr(state, "ready", True):
        return
    state.ready = ready
    if ready:
        logger.info("ready again", pid=os.getpid())
    else:
        logger.warning("unready", pid=os.getpid(), **errors)


async def _check(request: Request, *, detailed: bool = False) -> report.Health:
    state = request.app.state
    return await store.check(state.stores, timeout=state.settings.health_timeout, detailed=detailed)


def _answer(
    good: bool, body: dict[str, Any], status: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        orjson.dumps(body),
        status_code=status or (200 if good else 503),
        media_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})},
    )


def _summary(health: report.Health) -> dict[str, Any]:
    return {"status": "healthy" if health.healthy else "unhealthy", "timestamp": timestamp(health.timestamp)}


def _outcome(check: report.PostgresHealth | report.MongodbHealth) -> dict[str, Any]:
    """`error` is left out where there is none."""
    error = {} if check.error is None else {"error": check.error}
    return {"healthy": check.healthy, "responseTime": check.response_time, **error, "cutOff": check.cut_off}


def _postgres(check: report.PostgresHealth) -> dict[str, Any]:
    counts = check.connections
    body = {
        **_outcome(check),
        "connections": {"total": counts.total, "active": counts.active, "idle": counts.idle},
    }
    if check.replicas:
        body["replicas"] = [_replica(each) for each in check.replicas]
    if check.nodes is not None:
        body["nodes"] = [_node(each) for each in check.nodes]
    if (server := check.server) is not None:
        body["server"] = {
            "version": server.version,
            "maxConnections": server.max_connections,
            "connections": {
                "total": server.total,
                "active": server.active,
                "idle": server.idle,
                "idleInTransaction": server.idle_in_transaction,
                "other": server.other,
            },
        }
    return body


def _replica(check: report.ReplicaHealth) -> dict[str, Any]:
    """`error` is left out where there is none, and `secondsBehind` where that isn't known."""
    error = {} if check.error is None else {"error": check.error}
    lag = {} if check.lag is None else {"secondsBehind": round(check.lag, 2)}
    return {"name": check.name, "healthy": check.error is None, **error, "cutOff": check.cut_off, **lag}


def _node(node: report.ClusterNode) -> dict[str, Any]:
    role = "coordinator" if node.is_coordinator else "worker"
    return {"id": node.id, "role": role, "reachable": node.reachable, "shards": node.shards}


def _mongodb(check: report.MongodbHealth) -> dict[str, Any]:
    body = {**_outcome(check), "connection": {"state": check.state.value, "topology": check.topology}}
    if (server := check.server) is not None:
        body["server"] = {
            "version": server.version,
            "collections": server.collections,
            "objects": server.objects,
            "dataSize": server.data_size,
            "indexes": server.indexes,
            "indexSize": server.index_size,
        }
    return body
