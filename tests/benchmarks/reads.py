"""What a read costs beside the bare driver: CPU time of this process, the stores' own readers against asyncpg and
pymongo with the same statement or command, in turns, in one run.

Each takes many short turns, and the quickest counts: what else the machine does only ever adds. The bare drivers have
no deadline, no pool, no breaker and no count of statements.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import typer
import uvloop
from pymongo import AsyncMongoClient

from api.accounts.passwords import hasher
from api.avatars.store import avatars
from api.catalog.store import catalog_items
from api.config.settings import Settings
from api.demo.loader import load
from api.designs import store as designs
from api.lists import keyset
from api.lists.conditions import And, Compare, Condition
from api.lists.pagination import NEWEST_FIRST, PageRequest
from api.rights.policies import LIVE
from api.stores.mongodb.client import MongoDatabase, mongo_database
from api.stores.postgres.row_level_security import Identity
from api.stores.stores import Stores, open_stores
from api.users.store import users
from models import Avatar, CatalogItem, User
from models.statements import Statement
from tests.benchmarks.in_process import cpu
from tests.support.servers import migrated_stores

Read = Callable[[], Awaitable[Any]]
PEOPLE = frozenset({"first_name", "last_name"})
ITEMS = frozenset({"name", "type", "price", "thumbnail_url", "properties"})
DESIGNS = frozenset({"name", "status", "layers", "user_id", "avatar_id"})


@dataclass
class Case:
    """One read in two ways."""

    name: str
    bare: Read
    ours: Read


def request_of(list_name: str, size: int, condition: Condition) -> PageRequest:
    return PageRequest(list_name, size, False, None, None, NEWEST_FIRST, condition, LIVE)


def table_of(model: Any) -> keyset.Table:
    return keyset.Table({column.key: column for column in model.__table__.columns})


async def sql_cases(stores: Stores, bare: asyncpg.Connection[asyncpg.Record]) -> list[Case]:
    people: list[UUID] = [row[0] for row in await bare.fetch("SELECT id FROM shared.users LIMIT 20")]
    identity = stores.acting_as(Identity(str(people[0]), "admin", "benchmark"))
    by_key = keyset.by_keys(table_of(User), "id", PEOPLE)
    fabrics = request_of("catalog_items", 50, Compare("type", "in", ("fabric",)))
    few = request_of("avatars", 5, And(()))

    def run(statement: Statement, *values: Any) -> Read:
        return lambda: bare.fetch(statement.sql, *statement.arguments(values))

    def page(table: keyset.Table, request: PageRequest, names: frozenset[str], by: str | None = None) -> Read:
        values: list[Any] = []
        shape = keyset.page_shape(request, values)
        if by is None:
            return run(keyset.page(table, shape, names), *values)
        return run(keyset.pages_by_owner(table, shape, names, by), people, *values)

    return [
        Case("1 user by key", run(by_key, people[:1]), lambda: users.by_id(identity, people[:1], PEOPLE)),
        Case("20 users by key", run(by_key, people), lambda: users.by_id(identity, people, PEOPLE)),
        Case(
            "50 items of a page",
            page(table_of(CatalogItem), fabrics, ITEMS),
            lambda: catalog_items.pages(identity, [(None, None, fabrics)], ITEMS),
        ),
        Case(
            "avatars of 20 users",
            page(table_of(Avatar), few, frozenset({"name"}), "user_id"),
            lambda: avatars.pages(identity, [("user_id", owner, few) for owner in people], frozenset({"name"})),
        ),
    ]


async def mongo_cases(stores: Stores, bare: MongoDatabase) -> list[Case]:
    collection = bare["designs"]
    found = await collection.find({}, {"userId": 1}).limit(20).to_list()
    keys, owners = [design["_id"] for design in found], list({design["userId"] for design in found})
    fields = keyset.projection(DESIGNS | {"deleted_at"})
    request = request_of("designs", 20, Compare("status", "in", ("published",)))
    few = request_of("designs", 5, And(()))

    async def of_owners() -> list[Any]:
        pipeline = [
            {"$match": keyset.mongo_filter(few)},
            {"$sort": keyset.mongo_sort(few)},
            {"$limit": few.size + 1},
            {"$project": keyset.projection(DESIGNS, NEWEST_FIRST)},
        ]
        lookup = {"from": "designs", "localField": "_id", "foreignField": "userId", "as": "found"}
        documents = [{"_id": owner} for owner in owners]
        stages: list[Mapping[str, Any]] = [{"$documents": documents}, {"$lookup": {**lookup, "pipeline": pipeline}}]
        return await (await bare.aggregate(stages)).to_list()

    async def one() -> list[Any]:
        return [await collection.find_one({"_id": keys[0]}, fields)]

    return [
        Case("1 design by key", one, lambda: designs.by_id(stores, keys[:1], DESIGNS)),
        Case(
            "20 designs by key",
            lambda: collection.find({"_id": {"$in": keys}}, fields).to_list(),
            lambda: designs.by_id(stores, keys, DESIGNS),
        ),
        Case(
            "20 designs of a page",
            lambda: collection.find(
                keyset.mongo_filter(request),
                keyset.projection(DESIGNS, NEWEST_FIRST),
                sort=keyset.mongo_sort(request),
                limit=21,
            ).to_list(),
            lambda: designs.pages(stores, [(None, None, request)], DESIGNS),
        ),
        Case(
            "designs of their owners",
            of_owners,
            lambda: designs.pages(stores, [("user_id", owner, few) for owner in owners], DESIGNS),
        ),
    ]


async def measure(case: Case, rounds: int, reads: int) -> Mapping[Read, float]:
    """Microseconds of CPU time a read."""
    costs: dict[Read, list[float]] = {case.bare: [], case.ours: []}
    for turn in range(rounds + 1):
        for read, times in costs.items():
            cost = await cpu(read, reads)
            if turn:  # the first warms up
                times.append(cost * 1e6)
    return {read: min(times) for read, times in costs.items()}


@asynccontextmanager
async def bare_postgres(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(url)
    await connection.set_type_codec("jsonb", encoder=str, decoder=orjson.loads, schema="pg_catalog")
    try:
        yield connection
    finally:
        await connection.close()


async def compare(settings: Settings, rounds: int, reads: int) -> None:
    assert settings.postgres_url is not None
    assert settings.mongodb_url is not None
    async with (
        open_stores(settings) as stores,
        open_stores(settings.model_copy(update={"row_level_security": True})) as walled,
        bare_postgres(settings.postgres_url) as connection,
        AsyncMongoClient[dict[str, Any]](settings.mongodb_url) as client,
    ):
        await load(stores, password="benchmark", hasher=hasher(settings))
        cases = [
            *await sql_cases(stores, connection),
            *await mongo_cases(stores, mongo_database(settings, client)),
            *(await sql_cases(walled, connection))[:1],
        ]
        for number, case in enumerate(cases):
            assert len(await case.ours()) > 0, case.name
            times = await measure(case, rounds, reads)
            bare, ours = times[case.bare], times[case.ours]
            wall = ", row-level security" if number == len(cases) - 1 else ""
            typer.echo(f"{case.name + wall:40} {ours:6.0f} us, {ours / bare:.2f} times the bare driver's {bare:.0f} us")


def main(rounds: int = 40, reads: int = 10) -> None:
    """The quickest of the rounds; each reads so many times in both ways."""
    with migrated_stores() as settings:
        uvloop.run(compare(settings, rounds, reads))


if __name__ == "__main__":
    typer.run(main)
