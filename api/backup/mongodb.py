"""MongoDB's part of a backup, in the files of `mongodump`: BSON, and metadata as extended JSON, both compressed.

`mongorestore --gzip` reads them: `<database>/<collection>.bson.gz` and `.metadata.json.gz`.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pymongo
from bson import CodecOptions, json_util
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import OperationFailure

from api.backup.digests import Digest
from api.backup.manifest import Contents, MongoPart, StoredFile
from api.backup.postgres import Progress, now
from api.backup.streams import SUFFIX, Recipient, writing
from api.config.settings import Settings
from api.stores.mongodb.client import MongoDatabase, mongo_client, mongo_database, require_version
from documents.schemas import SCHEMAS

FOLDER: Final = "mongodb"
COLLECTIONS: Final = tuple(schema.name for schema in reversed(SCHEMAS))
"""Earlier versions of designs before the designs: where each collection is read at its own moment, a version may be
missing in between, but none is there that the design hasn't reached."""
NO_SNAPSHOT: Final = frozenset({20, 72, 115, 123, 238, 239, 246})
"""IllegalOperation, InvalidOptions, CommandNotSupported, NotAReplicaSet, NotImplemented, SnapshotTooOld,
SnapshotUnavailable: how servers refuse to read as of a moment, or as of one so long ago."""
_LEVEL: Final = 6
_RAW: Final = CodecOptions(document_class=RawBSONDocument)
_TOLD: Final = 500
"""Documents after which the progress is told."""


def file_names(database: str, collection: str, *, encrypted: bool) -> tuple[str, str]:
    """The names of a collection's documents and of its metadata, within the backup."""
    suffix = SUFFIX if encrypted else ""
    return tuple(f"{FOLDER}/{database}/{collection}.{kind}.gz{suffix}" for kind in ("bson", "metadata.json"))  # type: ignore[return-value]


async def save(
    settings: Settings, folder: Path, to: Sequence[Recipient], progress: Progress
) -> tuple[MongoPart, dict[str, StoredFile]]:
    """Write the files of all collections that there are into the folder. Raises what MongoDB raises."""
    client = mongo_client(settings)
    try:
        with pymongo.timeout(settings.mongodb_selection_timeout):
            server = str((await client.server_info())["version"])
            require_version(client)
        database = mongo_database(settings, client)
        (folder / FOLDER / database.name).mkdir(parents=True)
        saving = _Saving(database, folder, to, progress)
        began = now()
        # 0 is no limit for all of it; the driver still waits only so long for each answer
        with pymongo.timeout(0):
            try:
                async with client.start_session(snapshot=True) as session:
                    await saving.run(session)
                    snapshot = session._snapshot_time
            except OperationFailure as error:
                if error.code not in NO_SNAPSHOT:
                    raise
                snapshot, began = None, now()
                saving = saving.anew()
                await saving.run(None)
        part = MongoPart(
            server=server,
            database=database.name,
            began=began,
            ended=now(),
            snapshot=None if snapshot is None else snapshot.as_datetime(),
            collections=saving.contents,
        )
        return part, saving.files
    finally:
        await client.close()


def raw_documents(database: MongoDatabase, collection: str) -> AsyncCollection[RawBSONDocument]:
    """A collection whose documents are left as the server sends them."""
    return database.get_collection(collection, codec_options=_RAW)  # type: ignore[return-value]


class _Saving:
    """One attempt at reading all collections."""

    def __init__(self, database: MongoDatabase, folder: Path, to: Sequence[Recipient], progress: Progress) -> None:
        self._database, self._folder, self._to, self._progress = database, folder, to, progress
        self.contents: dict[Any, Contents] = {}
        self.files: dict[str, StoredFile] = {}

    def anew(self) -> _Saving:
        """Another attempt, after what this one has written is gone."""
        for path in (self._folder / FOLDER / self._database.name).iterdir():
            path.unlink()
        return _Saving(self._database, self._folder, self._to, self._progress)

    async def run(self, session: AsyncClientSession | None) -> None:
        """Read all collections that there are, as of the session's moment if there is one."""
        for collection in COLLECTIONS:
            async for info in await self._database.list_collections(filter={"name": collection}):
                bson, metadata = file_names(self._database.name, collection, encrypted=bool(self._to))
                self._write(metadata, _gzipped(await self._metadata(info)))
                self.contents[collection] = await self._documents(collection, bson, session)

    async def _metadata(self, info: Mapping[str, Any]) -> bytes:
        """Options and indexes, as `mongodump` writes them."""
        uuid = info.get("info", {}).get("uuid")
        indexes = [
            {name: value for name, value in index.items() if name != "ns"}
            async for index in await self._database[info["name"]].list_indexes()
        ]
        described = {
            "options": info.get("options", {}),
            "indexes": indexes,
            **({} if uuid is None else {"uuid": bytes(uuid).hex()}),
            "collectionName": info["name"],
            "type": "collection",
        }
        return json_util.dumps(described, json_options=json_util.CANONICAL_JSON_OPTIONS).encode()

    async def _documents(self, collection: str, name: str, session: AsyncClientSession | None) -> Contents:
        found = raw_documents(self._database, collection)
        total, digest = await found.estimated_document_count(), Digest()
        with writing(self._folder / name, self._to) as sink, _compressing(sink.stream) as compressed:
            async for document in found.find({}, sort=[("_id", pymongo.ASCENDING)], session=session):
                compressed.write(document.raw)
                digest.add(document.raw)
                if digest.count % _TOLD == 0:
                    self._progress(collection, digest.count, max(total, digest.count))
        assert sink.stored is not None
        self.files[name] = sink.stored
        self._progress(collection, digest.count, digest.count)
        return digest.contents

    def _write(self, name: str, content: bytes) -> None:
        with writing(self._folder / name, self._to) as sink:
            sink.stream.write(content)
        assert sink.stored is not None
        self.files[name] = sink.stored


def _compressing(stream: Any) -> gzip.GzipFile:
    # without a time, the same content is the same file
    return gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=_LEVEL, mtime=0)


def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, _LEVEL, mtime=0)
