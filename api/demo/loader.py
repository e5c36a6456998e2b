"""Loading the demo data into both stores. Existing data stays as it is, so loading can be repeated at any time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import orjson
import pymongo
from argon2 import PasswordHasher
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError
from sqlalchemy import text

from api.config.settings import Settings
from api.demo.designs import Document
from api.demo.generator import COUNTS, Block, generate
from api.demo.names import ACCOUNTS
from api.demo.seeded_random import PICTURES
from api.stores.postgres.distribution import insert_audited
from api.stores.startup_errors import ServerError
from api.stores.stores import Stores
from documents import collection

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]  # generic in its stubs only

Progress = Callable[[str, int, int], None]
"""Called with a kind of generator.COUNTS, how many of it have been processed (new or not), and how many there are."""

USERS: Final = "shared.users"
AVATARS: Final = "avatar.avatars"
ITEMS: Final = "catalog.catalog_items"
TABLES: Final = (USERS, AVATARS, ITEMS)
DUPLICATE_KEY: Final = 11000
_BATCH: Final = 100
"""Documents for each command. SecantusDB needs quadratic time to look up a list of ids."""


@dataclass(frozen=True, slots=True)
class Summary:
    """How much was inserted, not counting what existed before.

    `taken_emails`: addresses of the demo data that another account has. Those users, and what would belong to
    them, were left out.
    """

    users: int
    avatars: int
    catalog_items: int
    designs: int
    taken_emails: tuple[str, ...] = ()


def quiet(kind: str, done: int, total: int) -> None:
    """A Progress that does nothing."""


async def is_empty(stores: Stores) -> bool:
    """Whether neither store has any user, avatar, item or design, soft-deleted ones included."""
    query = " OR ".join(f"EXISTS (SELECT 1 FROM {table})" for table in TABLES)  # noqa: S608  no input in it
    async with stores.reads.connect() as connection:
        if await connection.scalar(text(f"SELECT {query}")):
            return False
    return await stores.database[collection.COLLECTION].find_one({}, {"_id": True}) is None


async def load(
    stores: Stores,
    *,
    scale: int = 1,
    password: str,
    hasher: PasswordHasher,
    pictures: str = PICTURES,
    progress: Progress = quiet,
) -> Summary:
    """Insert what is missing of the demo data, `scale` times the counts of generator.COUNTS, its pictures at the
    address `pictures`.

    Rows and documents that exist are not touched, whatever they have become; passwords neither. Killed in the
    middle, the next call goes on: a block's references are loaded before what refers to them, and each table's
    part of a block is one transaction.

    Raises ServerError where a store has not been migrated, ValueError for a scale below 1, and the drivers'
    errors where a store fails.
    """
    blocks = generate(scale)
    await _require_migrated(stores)
    hashes: list[str] = []
    inserted = dict.fromkeys(COUNTS, 0)
    taken: list[str] = []
    for block in blocks:
        _point(block, pictures)

        def done(kind: str, count: int, number: int = block.number + 1) -> None:
            inserted[kind] += count
            progress(kind, COUNTS[kind] * number, COUNTS[kind] * scale)

        async with _driver(stores) as connection:
            present = await _present(connection, block.users)
            if len(present) < len(block.users):
                hashes = hashes or await asyncio.to_thread(_hashes, password, hasher)
                done("users", await _insert_users(connection, block, hashes))
                present = await _present(connection, block.users)
                taken += [user["email"] for user in block.users if user["id"] not in present]
            else:
                done("users", 0)
            done("avatars", await _insert_avatars(connection, block, distributed=stores.distribution.is_distributed))
            done("catalog items", await _insert(connection, ITEMS, block.items))
        done("designs", await _insert_designs(stores, block, present))
    return Summary(
        users=inserted["users"],
        avatars=inserted["avatars"],
        catalog_items=inserted["catalog items"],
        designs=inserted["designs"],
        taken_emails=tuple(taken),
    )


def pictures_of(settings: Settings, url: str | None = None) -> str:
    """The address of the pictures of the server with these settings, or at this URL."""
    if not settings.demo_pictures:
        return PICTURES
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104  what not to say
    base = settings.demo_url or url or f"http://{host}:{settings.port}"
    return f"{base.rstrip('/')}/pictures"


def _point(block: Block, pictures: str) -> None:
    """Set the address of the pictures in items and designs."""
    for item in block.items:
        item["thumbnail_url"] = item["thumbnail_url"].replace(PICTURES, pictures)
    for design in block.designs:
        if (url := design["metadata"].get("thumbnailUrl")) is not None:
            design["metadata"]["thumbnailUrl"] = url.replace(PICTURES, pictures)


async def _require_migrated(stores: Stores) -> None:
    async with stores.reads.connect() as connection:
        for table in TABLES:
            if await connection.scalar(text("SELECT to_regclass(:table) IS NULL"), {"table": table}):
                raise ServerError(f"PostgreSQL has no table {table}: run `fashion-wallet migrate run` first")
    name = collection.COLLECTION
    # a server that is down is found out before anything is loaded; the client's timeoutMS alone would wait longer
    with pymongo.timeout(stores.mongo.options.server_selection_timeout):
        names = await stores.database.list_collection_names(filter={"name": name})
    # inserting would create the collection, without its validator and indexes
    if name not in names:
        raise ServerError(f"MongoDB has no collection {name}: run `fashion-wallet migrate run` first")


def _hashes(password: str, hasher: PasswordHasher) -> list[str]:
    """One argon2id hash for each account to sign in with, and one more that all other users share: a hash is slow
    by design, and to have their own would protect nothing, since everybody knows this password."""
    return [hasher.hash(password) for _ in range(len(ACCOUNTS) + 1)]


async def _present(connection: Connection, users: Sequence[dict[str, Any]]) -> set[UUID]:
    """The ids of the users that exist in the database."""
    ids = [user["id"] for user in users]
    return {row["id"] for row in await connection.fetch("SELECT id FROM shared.users WHERE id = ANY($1)", ids)}


@contextlib.asynccontextmanager
async def _driver(stores: Stores) -> AsyncIterator[Connection]:
    """The asyncpg connection of one from the pool, since SQLAlchemy has no COPY."""
    async with stores.engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        yield driver


async def _insert_users(connection: Connection, block: Block, hashes: Sequence[str]) -> int:
    own = hashes[: len(ACCOUNTS)] if block.number == 0 else []
    rows = [
        {**user, "password_hash": own[number] if number < len(own) else hashes[-1]}
        for number, user in enumerate(block.users)
    ]
    # whoever created others has to be there before them
    return sum(
        [
            await _insert(connection, USERS, [row for row in rows if row["created_by"] is None]),
            await _insert(connection, USERS, [row for row in rows if row["created_by"] is not None]),
        ]
    )


async def _insert_avatars(connection: Connection, block: Block, *, distributed: bool) -> int:
    # An avatar's owner may have made another one the default since. Asked before, since rows of workers aren't joined
    # with those of the coordinator.
    with_default = await connection.fetch(
        f"SELECT user_id FROM {AVATARS} WHERE user_id = ANY ($1) AND is_default AND deleted_at IS NULL",  # noqa: S608  no input in it
        list({avatar["user_id"] for avatar in block.avatars}),
    )
    return await _insert(
        connection,
        AVATARS,
        block.avatars,
        [row["user_id"] for row in with_default],
        where=f"EXISTS (SELECT FROM {USERS} WHERE users.id = incoming.user_id)",
        audited=distributed,
        is_default="is_default AND user_id <> ALL ($1)",
    )


async def _insert(
    connection: Connection,
    table: str,
    rows: Sequence[dict[str, Any]],
    *arguments: Any,
    where: str = "true",
    audited: bool = False,
    **values: str,
) -> int:
    """Insert the rows that don't exist yet, and return how many. `values` are expressions of columns over `incoming`,
    with `arguments` as their parameters. `audited`: the table is distributed, and no trigger writes the audit log.

    Authors who don't exist become null.
    """
    columns = list(rows[0])
    for author in ("created_by", "updated_by"):
        values[author] = f"(SELECT id FROM {USERS} WHERE users.id = incoming.{author})"  # noqa: S608  no input in it
    selected = ", ".join(values.get(column, column) for column in columns)
    statement = (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {selected} FROM incoming WHERE {where} "  # noqa: S608  no input in it
        "ON CONFLICT DO NOTHING"
    )
    async with connection.transaction():
        await connection.execute(f"CREATE TEMPORARY TABLE incoming (LIKE {table} INCLUDING DEFAULTS) ON COMMIT DROP")
        await connection.copy_records_to_table(
            "incoming", records=[tuple(map(_encoded, row.values())) for row in rows], columns=columns
        )
        if audited:
            return await insert_audited(connection, table, statement, *arguments)
        status = await connection.execute(statement, *arguments)
    return int(status.rpartition(" ")[2])  # INSERT 0 200


def _encoded(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, dict) else value


async def _insert_designs(stores: Stores, block: Block, owners: set[UUID]) -> int:
    """Insert the designs that don't exist yet, except those of missing users, and return how many."""
    designs = stores.database[collection.COLLECTION]
    known = {str(owner) for owner in owners}
    owned = [design for design in block.designs if design["userId"] in known]
    inserted = 0
    for start in range(0, len(owned), _BATCH):
        batch = owned[start : start + _BATCH]
        query = {"_id": {"$in": [design["_id"] for design in batch]}}
        present = {design["_id"] async for design in designs.find(query, {"_id": True})}
        if missing := [design for design in batch if design["_id"] not in present]:
            inserted += await _insert_documents(designs, missing)
    return inserted


async def _insert_documents(designs: AsyncCollection[Document], documents: list[Document]) -> int:
    """Insert the documents that don't exist yet. Another process may load at the same time."""
    try:
        return len((await designs.insert_many(documents, ordered=False)).inserted_ids)
    except BulkWriteError as error:
        if error.details["writeConcernErrors"] or any(
            failure["code"] != DUPLICATE_KEY for failure in error.details["writeErrors"]
        ):
            raise
        inserted: int = error.details["nInserted"]
        return inserted
