"""Bringing MongoDB's part of a backup into a database that has none of the collections."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import pymongo
from bson import json_util
from bson.errors import InvalidBSON
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure
from pymongo.write_concern import WriteConcern

from api.backup.digests import Digest
from api.backup.errors import BackupError
from api.backup.manifest import Manifest
from api.backup.mongodb import file_names, raw_documents
from api.backup.postgres import Progress
from api.backup.streams import Identity, reading
from api.stores.mongodb.client import MongoDatabase
from documents.collection import NO_TEXT_INDEX, PASSING

_BATCH: Final = 1000
_BATCH_BYTES: Final = 8 * 1024 * 1024
_LONGEST: Final = 16 * 1024 * 1024 + 16 * 1024
"""Bytes of a document as a server keeps it."""


async def restore(
    database: MongoDatabase, folder: Path, found: Manifest, keys: Sequence[Identity], progress: Progress
) -> list[str]:
    """Make all collections with their documents and indexes, and compare them with what was saved.

    Returns a line for each index that this server doesn't make. Whatever goes wrong, the collections that were made are
    dropped again. Raises BackupError where they differ from what was saved, and what MongoDB raises.
    """
    made = list[str]()
    lines = list[str]()
    try:
        with pymongo.timeout(0):
            for name in found.mongodb.collections:
                bson, metadata = (
                    folder / file for file in file_names(found.mongodb.database, name, encrypted=found.encrypted)
                )
                with reading(metadata, keys) as stream, gzip.GzipFile(fileobj=stream) as plain:
                    described = json_util.loads(plain.read(), json_options=json_util.CANONICAL_JSON_OPTIONS)
                await database.create_collection(name, check_exists=False, **described["options"])
                made.append(name)
                await _insert(database, name, bson, keys, found, progress)
                lines += await _index(database, name, described["indexes"])
                await _compare(database, name, found, progress)
    except BaseException:
        with pymongo.timeout(0):
            for name in made:
                await database.drop_collection(name)
        raise
    return lines


async def drop(database: MongoDatabase, found: Manifest) -> None:
    """Take back what `restore` has made."""
    with pymongo.timeout(0):
        for name in found.mongodb.collections:
            await database.drop_collection(name)


async def _insert(
    database: MongoDatabase, name: str, file: Path, keys: Sequence[Identity], found: Manifest, progress: Progress
) -> None:
    # as they were saved: a document that was invalid before has to come back, too
    collection = raw_documents(database, name).with_options(write_concern=WriteConcern("majority"))
    total, done = found.mongodb.collections[name].count, 0
    with reading(file, keys) as stream, gzip.GzipFile(fileobj=stream) as plain:
        for batch in _batches(plain, file.name):
            await collection.insert_many(batch, ordered=False, bypass_document_validation=True)
            done += len(batch)
            progress(name, done, max(total, done))
    progress(name, done, done)


def _batches(stream: BinaryIO | gzip.GzipFile, name: str) -> Iterator[list[RawBSONDocument]]:
    batch, size = list[RawBSONDocument](), 0
    for document in documents(stream, name):
        if batch and (len(batch) == _BATCH or size + len(document.raw) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += len(document.raw)
    if batch:
        yield batch


def documents(stream: BinaryIO | gzip.GzipFile, name: str) -> Iterator[RawBSONDocument]:
    """The documents of a stream of BSON, one after the other. Raises BackupError where it isn't whole."""
    try:
        while head := stream.read(4):
            length = int.from_bytes(head, "little")
            if not 5 <= length <= _LONGEST:
                raise BackupError(f"{name} is damaged: a document has {length} bytes")
            yield RawBSONDocument(head + stream.read(length - 4))
    except (EOFError, gzip.BadGzipFile, InvalidBSON) as error:
        raise BackupError(f"{name} is damaged: {error}") from None


async def _index(database: MongoDatabase, name: str, indexes: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for index in indexes:
        if index["name"] == "_id_":
            continue
        try:
            await database.command("createIndexes", name, indexes=[dict(index)])
        except OperationFailure as error:
            if error.code in PASSING or index.get("unique") or not ("weights" in index and error.code in NO_TEXT_INDEX):
                raise
            lines.append(f"index {index['name']}: skipped, this server makes no text indexes")
    return lines


async def _compare(database: MongoDatabase, name: str, found: Manifest, progress: Progress) -> None:
    saved, digest = found.mongodb.collections[name], Digest()
    async for document in raw_documents(database, name).find({}):
        digest.add(document.raw)
        if digest.count % _BATCH == 0:
            progress(f"{name} compared", digest.count, max(saved.count, digest.count))
    progress(f"{name} compared", digest.count, digest.count)
    if digest.contents != saved:
        raise BackupError(
            f"{name} isn't what was saved: it has {digest.count} documents, and had {saved.count}"
            if digest.count != saved.count
            else f"{name} isn't what was saved: some of its documents differ"
        )
