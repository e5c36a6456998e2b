"""Large data sets, the same every time: any number of rows in each table, any number of designs.

A million rows a table take minutes: PostgreSQL makes the rows itself, without triggers and foreign key checks, and
its indexes afterwards. Only into empty stores.

    python -m tests.benchmarks.bulk --rows 1000000 --designs 10000     # into DATABASE_URL and MONGODB_URI

What lists meet in practice is in it: a few owners with thousands of objects and many with one or none, values that
are frequent and rare, nulls, deleted and inactive rows, premium items, equal times and names.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import typer
from bson import ObjectId
from pymongo import AsyncMongoClient

from api.config.settings import Settings, load_settings
from api.stores.mongodb.client import MongoDatabase, mongo_database

START: Final = datetime(2024, 1, 1, tzinfo=UTC)
SPAN: Final = timedelta(days=730)
BATCH: Final = 1000
"""Documents an insert."""
TABLES: Final = ("shared.users", "avatar.avatars", "catalog.catalog_items", "audit.audit_log")

COLOURS: Final = "{navy,teal,burgundy,crimson,olive}"
"""Those of a tenth of the items; the others' are no names of colours."""
TAGS: Final = 200
"""Distinct tags; `tag 0` is the most frequent."""

_OWNERS: Final = "SELECT id::text, user_id::text FROM avatar.avatars WHERE id = ANY ($1::text[]::uuid[])"

FUNCTIONS: Final = """
    CREATE FUNCTION pg_temp.share(n bigint, salt bigint) RETURNS float8 IMMUTABLE LANGUAGE sql
        RETURN (hashint8extended(n, salt) & 1073741823)::float8 / 1073741824;
    CREATE FUNCTION pg_temp.pick(n bigint, salt bigint, choices text[]) RETURNS text IMMUTABLE LANGUAGE sql
        RETURN choices[1 + (pg_temp.share(n, salt) * cardinality(choices))::int % cardinality(choices)];
    CREATE FUNCTION pg_temp.moment(n bigint, step bigint) RETURNS timestamptz IMMUTABLE LANGUAGE sql
        RETURN to_timestamp(({start} + n / 2 * 2 * step) / 1000.0);
    CREATE FUNCTION pg_temp.key(kind text, n bigint, step bigint) RETURNS uuid IMMUTABLE LANGUAGE sql
        RETURN (lpad(to_hex({start} + n * step), 12, '0') || kind || lpad(to_hex(n), 12, '0'))::uuid;
"""
"""`share`: evenly between 0 and 1. `moment`: two rows a time. `key`: as `key` below."""

KINDS: Final = {"user": "70018000", "avatar": "70028000", "item": "70038000", "audit": "70048000"}
"""What stands in the middle of a UUIDv7, where others have random digits."""

ROWS: Final = {
    "shared.users": """
        INSERT INTO shared.users (id, email, password_hash, first_name, last_name, role, is_active, email_verified,
                                  created_at, updated_at, deleted_at, created_by)
        SELECT pg_temp.key('{user}', n, $2), 'user' || n || '@example.com', '!',
               CASE WHEN pg_temp.share(n, 1) > 0.05 THEN pg_temp.pick(n, 2, $3) END,
               CASE WHEN pg_temp.share(n, 3) > 0.05
                    THEN initcap(pg_temp.pick(n, 4, $4) || pg_temp.pick(n, 5, $4) || pg_temp.pick(n, 6, $4)) END,
               CASE WHEN n % 1000 = 0 THEN 'admin' WHEN n % 25 = 1 THEN 'brand'
                    WHEN pg_temp.share(n, 7) < 0.06 THEN 'premium' ELSE 'user' END,
               pg_temp.share(n, 8) > 0.03, pg_temp.share(n, 9) > 0.3,
               pg_temp.moment(n, $2), pg_temp.moment(n, $2) + pg_temp.share(n, 10) * interval '60 days',
               CASE WHEN n % 1000 > 1 AND pg_temp.share(n, 11) < 0.03
                    THEN pg_temp.moment(n, $2) + interval '9 days' END,
               CASE WHEN pg_temp.share(n, 12) < 0.1 THEN pg_temp.key('{user}', 0, $2) END
        FROM generate_series(0::bigint, $1 - 1) AS n""",
    "avatar.avatars": """
        INSERT INTO avatar.avatars (id, user_id, name, gender, measurements, thumbnail_url, is_default,
                                    created_at, updated_at, deleted_at, created_by)
        SELECT pg_temp.key('{avatar}', n, $2), user_id, pg_temp.pick(n, 21, $3) || ' ' || n % 1000,
               CASE WHEN pg_temp.share(n, 22) < 0.5 THEN 'female' WHEN pg_temp.share(n, 22) < 0.98 THEN 'male'
                    ELSE 'unisex' END,
               CASE WHEN pg_temp.share(n, 23) < 0.8
                    THEN jsonb_build_object('height', 150 + n % 50, 'waist', 60 + n % 40) ELSE '{{}}' END,
               CASE WHEN pg_temp.share(n, 24) < 0.7 THEN 'https://cdn.example.com/avatars/' || n || '.webp' END,
               deleted_at IS NULL AND row_number() OVER (PARTITION BY user_id, deleted_at IS NULL ORDER BY n) = 1,
               pg_temp.moment(n, $2), pg_temp.moment(n, $2) + pg_temp.share(n, 25) * interval '60 days',
               deleted_at, user_id
        FROM (
            SELECT n, pg_temp.key('{user}', floor($1 * pg_temp.share(n, 26) ^ 3)::bigint, $2) AS user_id,
                   CASE WHEN pg_temp.share(n, 27) < 0.05
                        THEN pg_temp.moment(n, $2) + interval '9 days' END AS deleted_at
            FROM generate_series(0::bigint, $1 - 1) AS n
        ) AS drawn
        WHERE $4::text[] IS NOT NULL""",
    "catalog.catalog_items": """
        INSERT INTO catalog.catalog_items (id, name, description, type, category, properties, asset_url, thumbnail_url,
                                           is_premium, is_active, price, created_at, updated_at, deleted_at, created_by)
        SELECT pg_temp.key('{item}', n, $2),
               initcap(pg_temp.pick(n, 41, $4) || pg_temp.pick(n, 42, $4)) || ' ' || pg_temp.pick(n, 43, $3),
               CASE WHEN pg_temp.share(n, 44) < 0.7
                    THEN 'Made of ' || pg_temp.pick(n, 45, $4) || pg_temp.pick(n, 46, $4) || ' in ' || n % 97
                         || CASE n % 10 WHEN 3 THEN ', a dress' WHEN 7 THEN ', a long dress' ELSE '' END
                         || CASE n % 50 WHEN 13 THEN ', an embroidered cardigan' ELSE '' END END,
               CASE WHEN pg_temp.share(n, 47) < 0.5 THEN 'fabric' WHEN pg_temp.share(n, 47) < 0.8 THEN 'pattern'
                    ELSE 'silhouette' END,
               CASE WHEN pg_temp.share(n, 48) < 0.6
                    THEN (ARRAY['top', 'top', 'top', 'bottom', 'bottom', 'dress', 'outerwear', 'accessory'])[1 + n % 8]
               END,
               jsonb_build_object(
                   'color', CASE WHEN pg_temp.share(n, 67) < 0.1 THEN pg_temp.pick(n, 49, '{colours}')
                                 ELSE pg_temp.pick(n, 49, $4) END,
                   'material', pg_temp.pick(n, 50, $3), 'tags', jsonb_build_array(
                       'tag ' || floor({tags} * pg_temp.share(n, 51) ^ 2),
                       'tag ' || floor({tags} * pg_temp.share(n, 52))))
               || CASE WHEN pg_temp.share(n, 68) < 0.05 THEN jsonb_build_object('sizes', jsonb_build_object(
                       'M', jsonb_build_object('chest', 90 + n % 9, 'waist', 70 + n % 9, 'hips', 95 + n % 9)))
                       ELSE '{{}}' END,
               'https://cdn.example.com/items/' || n || '.glb',
               CASE WHEN pg_temp.share(n, 53) < 0.9 THEN 'https://cdn.example.com/items/' || n || '.webp' END,
               pg_temp.share(n, 54) < 0.15, pg_temp.share(n, 55) > 0.08, (pg_temp.share(n, 56) ^ 2 * 500)::int * 100,
               pg_temp.moment(n, $2), pg_temp.moment(n, $2) + pg_temp.share(n, 57) * interval '60 days',
               CASE WHEN pg_temp.share(n, 58) < 0.02 THEN pg_temp.moment(n, $2) + interval '9 days' END,
               CASE WHEN pg_temp.share(n, 59) < 0.8
                    THEN pg_temp.key('{user}', 25 * floor($1 / 25 * pg_temp.share(n, 60) ^ 3)::bigint + 1, $2) END
        FROM generate_series(0::bigint, $1 - 1) AS n""",
    "audit.audit_log": """
        INSERT INTO audit.audit_log (id, table_name, record_id, operation, old_values, new_values, actor_id, request_id,
                                     at)
        SELECT pg_temp.key('{audit}', n, $2),
               (ARRAY['catalog.catalog_items', 'avatar.avatars', 'avatar.avatars', 'shared.users'])[1 + n % 4],
               pg_temp.key((ARRAY['{item}', '{avatar}', '{avatar}', '{user}'])[1 + n % 4],
                           floor($1 * pg_temp.share(n, 61))::bigint, $2),
               CASE WHEN pg_temp.share(n, 62) < 0.7 THEN 'UPDATE' ELSE 'INSERT' END,
               jsonb_build_object('name', pg_temp.pick(n, 63, $4)), jsonb_build_object('name', pg_temp.pick(n, 64, $4)),
               CASE WHEN pg_temp.share(n, 65) < 0.9
                    THEN pg_temp.key('{user}', floor($1 * pg_temp.share(n, 66) ^ 3)::bigint, $2) END,
               'request-' || n / 3, pg_temp.moment(n, $2)
        FROM generate_series(0::bigint, $1 - 1) AS n
        WHERE $3::text[] IS NOT NULL""",
}

FIRST: Final = [
    *("Ada", "Bo", "Carmen", "Dmitri", "Elif", "Farid", "Greta", "Hiro", "Ines", "Jonas", "Kofi", "Lena", "Mia"),
    *("Noor", "Oskar", "Priya", "Quentin", "Rosa", "Sven", "Tala", "Uma", "Viktor", "Wanda", "Ximena", "Yusuf", "Zoe"),
]
SYLLABLES: Final = [first + last for first in "bcdfghklmnprstvw" for last in ("a", "e", "ino", "or", "ul")]


def key(kind: str, number: int, rows: int) -> UUID:
    """The id of the row of that number (from 0) in a data set of so many rows a table: `user`, `avatar`, `item`."""
    return UUID(f"{_milliseconds(START) + number * step(rows):012x}{KINDS[kind]}{number:012x}")


async def load(database_url: str, rows: int) -> dict[str, float]:
    """Fill the empty tables of a migrated database; the seconds that each step took.

    Raises ValueError where a table has rows.
    """
    took: dict[str, float] = {}
    async with loading(database_url, TABLES) as connection:
        for table in TABLES:
            statement = ROWS[table].format(tags=TAGS, colours=COLOURS, **KINDS)
            took[table] = await insert(connection, table, statement, rows, step(rows), FIRST, SYLLABLES)
    return took


@asynccontextmanager
async def loading(database_url: str, tables: Iterable[str]) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection that fills these tables, which are empty, without triggers. Raises ValueError where one has rows."""
    connection = await asyncpg.connect(database_url)
    try:
        for table in tables:
            if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table})"):
                raise ValueError(f"{table} has rows; this data set needs empty tables")
        await connection.execute(
            "SET session_replication_role = replica; SET maintenance_work_mem = '512MB'; SET work_mem = '256MB';"
            "SET synchronous_commit = off; SET statement_timeout = 0;" + FUNCTIONS.format(start=_milliseconds(START))
        )
        yield connection
    finally:
        await connection.close()


async def insert(connection: asyncpg.Connection[asyncpg.Record], table: str, statement: str, *values: Any) -> float:
    """Fill a table by a statement; the seconds that it took."""
    began = time.monotonic()
    # first the rows, then the indexes: several times as quick
    indexes = await connection.fetch(
        "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index "
        "WHERE indrelid = $1::text::regclass "
        "AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)",
        table,
    )
    async with connection.transaction():
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['name']}")
        await connection.execute(statement, *values, timeout=None)
        for index in indexes:
            await connection.execute(index["definition"], timeout=None)
    # the visibility map as well, so that counts need only read an index
    await connection.execute(f"VACUUM (ANALYZE) {table}", timeout=None)
    return time.monotonic() - began


def designs(count: int, rows: int) -> Iterator[dict[str, Any]]:
    """So many design documents, of the users, avatars and items of `load(url, rows)`."""
    chance = random.Random(f"designs/{count}/{rows}")
    apart = SPAN // count

    def drawn(kind: str, power: int) -> str:
        return str(key(kind, int(rows * chance.random() ** power), rows))

    for number in range(count):
        at = START + apart * (number // 2 * 2)
        at -= timedelta(microseconds=at.microsecond % 1000)
        items = [drawn("item", 3) for _ in range(chance.choice((1, 2, 4, 6)))]
        owner = int(rows * chance.random() ** 3)
        yield {
            "_id": ObjectId(
                int(at.timestamp()).to_bytes(4, "big") + hashlib.sha256(f"design{number}".encode()).digest()[:8]
            ),
            "userId": str(key("user", owner, rows)),
            "name": f"{chance.choice(FIRST)}'s {chance.choice(SYLLABLES)}{chance.choice(SYLLABLES)}",
            "status": chance.choices(("published", "draft", "archived"), (60, 35, 5))[0],
            "layers": [
                {
                    "id": str(layer),
                    "type": ("silhouette", "fabric", "pattern")[layer % 3],
                    "itemId": item,
                    "position": {"x": float(layer), "y": chance.random(), "z": float(layer)},
                    "visible": True,
                }
                for layer, item in enumerate(items)
            ],
            "metadata": {"tags": [f"tag {int(TAGS * chance.random() ** 2)}"], "description": f"Number {number}"},
            "avatarId": drawn("avatar", 1) if chance.random() < 0.9 else None,
            "catalogItemIds": list(dict.fromkeys(items)),
            "version": 1,
            "createdAt": at,
            "updatedAt": at + timedelta(minutes=chance.randrange(80_000)),
            **({"deletedAt": at + timedelta(days=9)} if chance.random() < 0.03 else {}),
        }


async def load_designs(database: MongoDatabase, url: str, count: int, rows: int) -> float:
    """Fill the empty collection; the seconds that it took. Raises ValueError where it has documents.

    Designs that are worn on an avatar belong to its owner, whom PostgreSQL at this URL knows.
    """
    began = time.monotonic()
    if await database["designs"].find_one({}, {"_id": True}) is not None:
        raise ValueError("designs has documents; this data set needs an empty collection")
    every = ({name: value for name, value in design.items() if value is not None} for design in designs(count, rows))
    connection = await asyncpg.connect(url)
    try:
        while batch := list(itertools.islice(every, BATCH)):
            avatars = [design["avatarId"] for design in batch if "avatarId" in design]
            owners = {row[0]: row[1] for row in await connection.fetch(_OWNERS, avatars)}
            for design in batch:
                design["userId"] = owners.get(design.get("avatarId"), design["userId"])
            await database["designs"].insert_many(batch, ordered=False)
    finally:
        await connection.close()
    return time.monotonic() - began


async def fill(settings: Settings, rows: int, designs: int) -> dict[str, float]:
    """Both stores of the settings, migrated and empty; the seconds that each step took."""
    assert settings.postgres_url is not None
    assert settings.mongodb_url is not None
    took = await load(settings.postgres_url, rows)
    async with AsyncMongoClient[dict[str, Any]](settings.mongodb_url) as client:
        return took | {
            "designs": await load_designs(mongo_database(settings, client), settings.postgres_url, designs, rows)
        }


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def step(rows: int) -> int:
    """Milliseconds between rows."""
    return SPAN // timedelta(milliseconds=1) // rows


def main(rows: int = 100_000, designs: int = 10_000) -> None:
    """Load into the configured stores, which must be migrated and empty."""
    for name, seconds in asyncio.run(fill(load_settings(), rows, designs)).items():
        typer.echo(f"{name:24} {seconds:8.1f} s")


if __name__ == "__main__":
    typer.run(main)
