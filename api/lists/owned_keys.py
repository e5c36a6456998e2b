"""Keys of rows that say whose the row should be: where a table is distributed by owner, that leads to one shard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from api.uuids import uuid_of


class OwnedKey(str):
    """The key of a row, with the account that should own it, which may be anything.

    It equals the key alone, and is found by it, so that whatever collects keys knows nothing of owners.
    """

    __slots__ = ("owner",)
    owner: Any

    @classmethod
    def of(cls, key: object, owner: Any) -> OwnedKey:
        """This key, a UUID or its text."""
        owned = cls(key)
        owned.owner = owner
        return owned


class OwnedKeys(NamedTuple):
    """Keys and their owners, each without repetition, as texts with commas."""

    keys: str
    owners: str


def with_owners(keys: Sequence[Any]) -> OwnedKeys | None:
    """Those of the keys that say who the owner is; None where none does."""
    pairs = [
        (str(row), str(owner))
        for key in keys
        if isinstance(key, OwnedKey)
        and (row := uuid_of(str(key))) is not None
        and (owner := uuid_of(key.owner)) is not None
    ]
    if not pairs:
        return None
    return OwnedKeys(*(",".join(dict.fromkeys(each)) for each in zip(*pairs, strict=True)))
