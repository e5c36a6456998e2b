"""Reads as one command, without a cursor: the driver's cursors take a third of the CPU time of a short read."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import AutoReconnect, NetworkTimeout, ServerSelectionTimeoutError

_LATE: Final = (NetworkTimeout, ServerSelectionTimeoutError)
"""What comes of waiting too long: to wait again would be longer still."""


async def run_at_once(
    database: AsyncDatabase[dict[str, Any]], command: MutableMapping[str, Any]
) -> list[dict[str, Any]] | None:
    """The documents that a `find` or an `aggregate` gives, None where they are more than fit into one reply.

    With the options of the database; repeated once after a lost connection where `retryReads` is on, as the driver's
    own reads are.
    """
    concern = database.read_concern.document
    if concern:
        command = {**command, "readConcern": concern}
    try:
        reply = await _run(database, command)
    except AutoReconnect as error:
        if isinstance(error, _LATE) or not database.client.options.retry_reads:
            raise
        reply = await _run(database, command)
    cursor: dict[str, Any] = reply["cursor"]
    if cursor["id"]:
        collection = cursor["ns"].partition(".")[2]
        await database.command({"killCursors": collection, "cursors": [cursor["id"]]})
        return None
    documents: list[dict[str, Any]] = cursor["firstBatch"]
    return documents


async def _run(database: AsyncDatabase[dict[str, Any]], command: MutableMapping[str, Any]) -> dict[str, Any]:
    return await database.command(
        command, read_preference=database.read_preference, codec_options=database.codec_options
    )
