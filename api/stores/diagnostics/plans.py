"""Plans: how the stores say that they would run what they were asked. Nothing is executed, and no value is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
from pymongo.errors import PyMongoError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from api.stores.mongodb.client import MongoDatabase

_PLANNED: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
_READS: Final = frozenset({"find", "aggregate", "count", "distinct"})
_NAME: Final = "fashion_wallet_explained"
_PARAMETER: Final = re.compile(r"\$(\d+)")
_KEPT: Final = frozenset(
    {"stage", "queryPlan", "inputStage", "inputStages", "indexName", "keyPattern", "direction", "isMultiKey", "unique"}
    | {"winningPlan", "queryPlanner", "stages", "$cursor", "explainVersion", "shards", "shardName", "mergeType"}
)
"""What is told of a plan of MongoDB: the rest has values in it."""
_DEEPEST: Final = 40


async def postgres_plan(sessions: async_sessionmaker[AsyncSession], kind: str, sql: str) -> Any:
    """PostgreSQL's plan of a statement whatever its values are, as EXPLAIN gives it in JSON, by the rights of these
    sessions; None where it has none. The statement isn't executed.

    Raises what the driver raises.
    """
    if kind not in _PLANNED:
        return None
    parameters = max(map(int, _PARAMETER.findall(sql)), default=0)
    values = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
    async with sessions() as session, session.begin():
        connection = await session.connection()
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        await driver.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await driver.execute(f"PREPARE {_NAME} AS {sql}")
        try:
            told = await driver.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE {_NAME}{values}")
        finally:
            await driver.execute(f"DEALLOCATE {_NAME}")
    (plan,) = orjson.loads(told) if isinstance(told, str) else told  # SQLAlchemy's codec has decoded it
    return plan


async def mongodb_plan(database: MongoDatabase, kind: str, command: Mapping[str, Any]) -> Any:
    """MongoDB's plan of a command that reads: stages and indexes, without filters and bounds; None where it has none.

    Where the engine can't tell, `unavailable` has its name of the reason.
    """
    if kind not in _READS:
        return None
    asked = {name: value for name, value in command.items() if name in _ARGUMENTS}
    try:
        told = await database.command({"explain": asked, "verbosity": "queryPlanner"})
    except PyMongoError as error:
        details = getattr(error, "details", None) or {}
        return {"unavailable": str(details.get("codeName") or type(error).__name__)}
    return without_values(told)


_ARGUMENTS: Final = frozenset(
    {"find", "filter", "sort", "projection", "skip", "limit", "hint", "collation", "let", "singleBatch", "batchSize"}
    | {"aggregate", "pipeline", "cursor", "allowDiskUse", "count", "query", "distinct", "key"}
)


def without_values(value: Any, depth: int = 0, *, names: bool = True) -> Any:
    """Stages, indexes and shards of what MongoDB's `explain` says. `names` says whether names that aren't known are
    left out."""
    if depth > _DEEPEST:
        return None
    if isinstance(value, Mapping):
        return {
            # fields of an index, and where mongos explains an aggregation, the shards
            name: without_values(part, depth + 1, names=name not in ("keyPattern", "shards"))
            for name, part in value.items()
            if not names or name in _KEPT
        }
    if isinstance(value, list):
        return [without_values(part, depth + 1) for part in value]
    return value if isinstance(value, str | int | float | bool) else None
