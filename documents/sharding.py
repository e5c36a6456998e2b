"""By what each collection is spread over the shards of a MongoDB cluster, and why. On one replica set nothing of this
matters. docs/operating/sharding.md says which commands then go to one shard and which to all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from documents.schemas import DESIGNS, REVISIONS


@dataclass(frozen=True, slots=True)
class ShardKey:
    """A collection's shard key, as the command `shardCollection` takes it."""

    fields: Mapping[str, Literal[1, "hashed"]]
    why: str

    @property
    def first(self) -> str:
        """The field that a filter has to pin, so that the command goes only to the shards of its values."""
        return next(iter(self.fields))


SHARD_KEYS: Final[Mapping[str, ShardKey]] = {
    DESIGNS.name: ShardKey(
        {"userId": "hashed", "_id": 1},
        "Lists, mutations and deletions name the owner. Owners' ids begin with a time (UUIDv7), so that ranges of them "
        "would have one shard take the designs of all new accounts: their hashes spread. With the hash alone, a chunk "
        "that has nothing but one owner's designs can't be split; with `_id`, it can.",
    ),
    REVISIONS.name: ShardKey(
        {"designId": "hashed"},
        "A design's history is read and written by the design, and says nothing of the owner. Ids of designs grow with "
        "time and young designs are edited most: ranges would have one shard take the writes.",
    ),
}
"""Every collection, by its name."""
