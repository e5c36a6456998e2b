"""Reads as one command, without a cursor: the driver's cursors take a third of the CPU time of a short read."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import AutoReconnect, NetworkTimeout, ServerSelectionTimeoutError

from documents.decoding import Codec, decoded, undecoded

_VARIANTS: Final[dict[tuple[int, bool], tuple[Codec, Codec, Codec]]] = {}
"""Codec options by identity, since they can't be hashed, and whether times are naive: with the variants for that."""
_LATE: Final = (NetworkTimeout, ServerSelectionTimeoutError)
"""Timeouts. After these a read isn't repeated, since that would take even longer."""


class ReadingClient(AsyncMongoClient[dict[str, Any]]):
    """A client that may have a shorter way than the driver's for commands that only read."""

    @cached_property
    def admin(self) -> AsyncDatabase[dict[str, Any]]:
        """The database `admin`, which the driver makes anew each time."""
        return self["admin"]

    async def run_read(
        self, database: AsyncDatabase[dict[str, Any]], command: MutableMapping[str, Any], codec: Codec
    ) -> dict[str, Any]:
        """The reply, read by these codec options. Raises what the driver raises; nothing is repeated."""
        return await database.command(command, read_preference=database.read_preference, codec_options=codec)


async def run_read(
    database: AsyncDatabase[dict[str, Any]], command: MutableMapping[str, Any], codec: Codec | None = None
) -> dict[str, Any]:
    """The reply to a command that only reads, by the shortest way that the database's client has.

    The codec options are the database's, unless others are given.
    """
    client, codec = database.client, codec or database.codec_options
    if isinstance(client, ReadingClient):
        return await client.run_read(database, command, codec)
    return await database.command(command, read_preference=database.read_preference, codec_options=codec)


async def run_at_once(
    database: AsyncDatabase[dict[str, Any]],
    command: MutableMapping[str, Any],
    *,
    naive: bool = False,
    large: bool = False,
) -> list[dict[str, Any]] | None:
    """The documents of a `find` or an `aggregate`; None where they don't fit into one reply.

    The codec options are the database's, except that times have no timezone where `naive`. A reply that may be `large`
    is decoded with turns of the event loop in between. After a lost connection, the command is repeated once if
    `retryReads` is on, as the driver does.
    """
    concern = database.read_concern.document
    if concern:
        command = {**command, "readConcern": concern}
    codec, raw = _variants(database.codec_options, naive=naive)
    asked = raw if large else codec
    try:
        reply = await run_read(database, command, asked)
    except AutoReconnect as error:
        if isinstance(error, _LATE) or not database.client.options.retry_reads:
            raise
        reply = await run_read(database, command, asked)
    cursor: Any = reply["cursor"]
    if cursor["id"]:
        collection = cursor["ns"].partition(".")[2]
        await database.command({"killCursors": collection, "cursors": [cursor["id"]]})
        return None
    if large:
        cursor = (await decoded(reply, codec))["cursor"]
    documents: list[dict[str, Any]] = cursor["firstBatch"]
    return documents


def set_timezone(documents: Iterable[dict[str, Any]], names: Iterable[str]) -> None:
    """Set the timezone of the naive times under these names to UTC, in place."""
    for name in names:
        for document in documents:
            time = document.get(name)
            if type(time) is datetime:
                # a fifth of the time of `replace`, let alone of what the driver does
                document[name] = datetime.combine(time, time.time(), UTC)


def _variants(codec: Codec, *, naive: bool) -> tuple[Codec, Codec]:
    """The options to read by, and those by which nothing is decoded yet."""
    known = _VARIANTS.get((id(codec), naive))
    if known is None:
        if len(_VARIANTS) > 1:
            _VARIANTS.clear()  # one process has one client, whose databases share their options
        read = codec.with_options(tz_aware=False, tzinfo=None) if naive else codec
        known = _VARIANTS[id(codec), naive] = codec, read, undecoded(read)
    return known[1:]
