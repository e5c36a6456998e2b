"""What an object takes in the stores, with its indexes, and what a change of it leaves behind.

    python -m tests.benchmarks.sizes

Rows are those of tests.benchmarks.bulk; what changes leave is written by the API. Documents are counted in bytes of
BSON, which MongoDB compresses when it stores them; their keys as in its KeyString format, not compressed either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import asyncpg
import bson
import httpx
import typer
from bson import ObjectId
from pymongo import AsyncMongoClient

from api.config.settings import Settings
from api.stores.mongodb.client import mongo_database
from documents.schemas import SCHEMAS
from tests.benchmarks import bulk_search
from tests.benchmarks.bench import Bench, bench

TABLES: Final = (
    *("shared.users", "avatar.avatars", "catalog.catalog_items", "audit.audit_log"),
    *("catalog.item_search", "design.design_search", "shared.account_sessions", "shared.account_refresh_tokens"),
)
SESSIONS: Final = (
    "INSERT INTO shared.account_sessions (id, user_id, expires_at) "
    "SELECT gen_random_uuid(), id, now() FROM shared.users",
    "INSERT INTO shared.account_refresh_tokens (id, session_id, token_hash) "
    "SELECT gen_random_uuid(), id, sha256(id::text::bytea) FROM shared.account_sessions",
)
"""One for each user, with one refresh token."""
CHANGES: Final = 300
RECORD: Final = 4
"""Bytes by which a key says where its document is."""
_CREATE: Final = """mutation($name: String!) {
    createAvatar(input: {name: $name, gender: FEMALE, measurements: {height: 170, weight: 60}}) {
        avatar { id name } errors { code }
    }
}"""
_EDIT: Final = """mutation($id: ID!, $version: Int!, $name: String!) {
    updateDesign(input: {id: $id, expectedVersion: $version, name: $name}) { design { version } errors { code } }
}"""


async def changes(ready: Bench, url: str) -> None:
    """So many avatars and edits of a design, by the API, each with an idempotency key."""

    async def ask(number: int, query: str, **variables: Any) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {ready.token}", "idempotency-key": f"sizes-{number}"}
        answer = await client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        (payload,) = answer.json()["data"].values()
        assert payload["errors"] == [], payload
        return dict(payload)

    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for number in range(CHANGES):
            await ask(2 * number, _CREATE, name=f"Summer {number}")
            await ask(2 * number + 1, _EDIT, id=ready.design_id, version=number + 1, name=f"Evening {number}")


async def rows(settings: Settings, tables: Iterable[str]) -> list[tuple[str, int, float, float]]:
    """Of each table: rows, bytes of a row, and bytes of its keys in all indexes."""
    connection = await asyncpg.connect(settings.postgres_url)
    found = []
    for table in tables:
        await connection.execute(f"VACUUM (ANALYZE) {table}")
        count = await connection.fetchval(f"SELECT count(*) FROM {table}")
        whole = await connection.fetchval(f"SELECT pg_table_size('{table}')")
        keys = await connection.fetchval(f"SELECT pg_indexes_size('{table}')")
        found.append((table, count, whole / max(count, 1), keys / max(count, 1)))
    await connection.close()
    return found


async def written(settings: Settings) -> list[tuple[str, int, float, float]]:
    """Of each collection: documents, bytes of one, and bytes of its keys in all indexes."""
    found = []
    async with AsyncMongoClient[dict[str, Any]](settings.mongodb_url) as client:
        database = mongo_database(settings, client)
        for schema in SCHEMAS:
            documents = await database[schema.name].find({}).to_list(20_000)
            sizes = [len(bson.encode(document)) for document in documents]
            keys = sum(_key(document, index.document["key"]) for document in documents for index in schema.indexes)
            keys += sum(_key(document, ["_id"]) for document in documents)
            found.append((schema.name, len(sizes), sum(sizes) / max(len(sizes), 1), keys / max(len(sizes), 1)))
    return found


async def logged(settings: Settings) -> list[asyncpg.Record]:
    """Rows of the log that the API's changes have left, by table, and bytes of one without its keys."""
    connection = await asyncpg.connect(settings.postgres_url)
    found = await connection.fetch(
        "SELECT table_name, count(*) AS rows, avg(pg_column_size(log.*)) AS size FROM audit.audit_log AS log "
        "WHERE at > now() - interval '1 hour' GROUP BY table_name ORDER BY table_name"
    )
    await connection.close()
    return list(found)


def _key(document: Mapping[str, Any], fields: Iterable[str]) -> int:
    """Bytes of a document's key, or of its keys where a field is a list."""
    values = [document.get(field.partition(".")[0]) for field in fields]
    many = max([len(value) for value in values if isinstance(value, list)] or [1])
    return many * (RECORD + sum(_length(value[0] if value and isinstance(value, list) else value) for value in values))


def _length(value: Any) -> int:
    """Bytes of a value in a key: its type, and itself."""
    match value:
        case str():
            return len(value.encode()) + 2
        case ObjectId():
            return 13
        case None | bool():
            return 1
        case _:
            return 9


async def sign_in(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.postgres_url)
    for statement in SESSIONS:
        await connection.execute(statement)
    await connection.close()


def main(
    rows_: Annotated[int, typer.Option("--rows", help="Rows in each table.")] = 100_000,
    designs: Annotated[int, typer.Option(help="Designs.")] = 10_000,
) -> None:
    """Print bytes by table and collection."""
    with bench(rows_, designs) as ready:
        assert ready.settings.postgres_url is not None
        asyncio.run(bulk_search.load(ready.settings.postgres_url, rows_))
        asyncio.run(sign_in(ready.settings))
        found = asyncio.run(rows(ready.settings, TABLES))
        server = ready.api(replay=False)
        asyncio.run(changes(ready, server.url))
        found += asyncio.run(rows(ready.settings, ["shared.idempotency_keys"]))
        for name, count, size, keys in found + asyncio.run(written(ready.settings)):
            typer.echo(f"{name:32} {count:9,} {size:8.0f} bytes  {keys:8.0f} of indexes")
        for record in asyncio.run(logged(ready.settings)):
            typer.echo(f"log of {record['table_name']:25} {record['rows']:9,} {record['size']:8.0f} bytes")


if __name__ == "__main__":
    typer.run(main)
