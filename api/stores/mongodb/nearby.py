"""Where a read preference says so, queries read from members of MongoDB's replica set other than its primary.

A client that has written something asks for nothing older than that (`afterClusterTime`): a member that hasn't got so
far waits for a moment. If it takes longer, or fails, the primary is read.
"""

from __future__ import annotations

from typing import Any, Final

from bson import Timestamp
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_preferences import ReadPreference, make_read_preference, read_pref_mode_from_name

from api.config.settings import Settings

Database = AsyncDatabase[dict[str, Any]]

_MODES: Final = {
    "primary": "primary",
    "primaryPreferred": "primaryPreferred",
    "secondary": "secondaryPreferred",  # the primary stands in for members that are away
    "secondaryPreferred": "secondaryPreferred",
    "nearest": "nearest",
}


class CausalDatabase(AsyncDatabase[dict[str, Any]]):
    """The primary's database, where short reads go to `nearby` members and show nothing older than a moment.

    `after` is that moment: cluster time, as a number. What goes the driver's own way, such as reads in batches, is read
    from the primary.
    """

    def __init__(self, primary: Database, nearby: Database, after: int) -> None:
        super().__init__(primary.client, primary.name, primary.codec_options, ReadPreference.PRIMARY)
        self.nearby = nearby
        self.after = after

    @property
    def concern(self) -> dict[str, Any]:
        """The read concern of what is asked of the others."""
        return {"level": "local", "afterClusterTime": Timestamp(self.after >> 32, self.after & 0xFFFFFFFF)}


def nearby_database(settings: Settings, client: AsyncMongoClient[dict[str, Any]], primary: Database) -> Database | None:
    """The database for queries, by MONGODB_READ_PREFERENCE or else by the URI; None where that is the primary."""
    given = client.read_preference
    mode = _MODES[settings.mongodb_read_preference or given.mongos_mode]
    if mode == "primary":
        return None
    preference = make_read_preference(read_pref_mode_from_name(mode), given.tag_sets, given.max_staleness)
    return primary.with_options(read_preference=preference)


def cluster_time(client: Any) -> int:
    """The latest time that a server has told this client, at least as late as all that it was acknowledged; 0 for
    servers that tell none."""
    told = client._topology.max_cluster_time() if client._topology is not None else None
    time = told["clusterTime"] if told else None
    return (time.time << 32) + time.inc if time is not None else 0
