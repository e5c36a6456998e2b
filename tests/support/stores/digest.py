"""What both stores hold, as one value that tells whether anything has changed."""

from __future__ import annotations

import hashlib

import bson
from sqlalchemy import text

from api.stores.stores import Stores
from models import Base


async def digest(stores: Stores) -> dict[str, str]:
    """A hash of all rows by table, and of all documents by collection."""
    tables = [table.fullname for table in Base.metadata.sorted_tables]
    hashed = ", ".join(
        f"(SELECT md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) FROM {table} t)" for table in tables
    )
    async with stores.engine.connect() as connection:
        row = (await connection.execute(text(f"SELECT {hashed}"))).one()
    found: dict[str, str] = dict(zip(tables, row, strict=True))
    for name in await stores.database.list_collection_names():
        documents = await stores.database[name].find(sort={"_id": 1}).to_list()
        found[name] = hashlib.md5(b"".join(map(bson.encode, documents))).hexdigest()
    return found
