"""Resolvers of references: objects of other types, by their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from asyncpg.pgproto import pgproto
from bson import ObjectId
from graphql import get_named_type

from api.execution import Loading
from api.fields.lookups import LIVE_FIELDS, load_stored
from api.fields.resolvers.base import Values, WithoutArguments
from api.fields.selection import ResolveInfo, columns_of
from api.ids import decode_id_of
from api.lists.owned_keys import OwnedKey
from api.log import report_dangling
from api.rights.policies import Guard
from api.stores.views import read, read_all

_KEYS: Final = frozenset((str, OwnedKey, UUID, pgproto.UUID, ObjectId, type(None)))


@dataclass(frozen=True, slots=True)
class Reference(WithoutArguments):
    """One object of another type, by the key that the parent holds.

    `owner` is where the parent says who should own it; that is read where tables are distributed, and may be missing.
    """

    loader: str
    key: str
    guard: Guard | None = None
    owner: str | None = None

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: None) -> Values:
        keys = read_all(sources, self.key)
        if self.guard is not None:
            viewer, allows = info.context.viewer, self.guard.allows
            keys = [key if allows(viewer, source) else None for key, source in zip(keys, sources, strict=True)]
        if self.owner is not None and info.context.stores.distribution.is_distributed:
            keys = _with_owners(keys, read_all(sources, self.owner))
        # A key that is the object's own id is no reference: it is the found object that refers to this one.
        return _objects(self.loader, keys, info, referenced=self.key != "id")


@dataclass(frozen=True, slots=True)
class References(WithoutArguments):
    """The distinct objects of another type that parts of the parent refer to. Those that no longer exist are left
    out."""

    loader: str
    parts: str
    key: str

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: None) -> Values:
        lists = [self._keys(parts) for parts in read_all(sources, self.parts)]
        flat = [key for keys in lists for key in keys]
        loading = _objects(self.loader, flat, info, referenced=True)
        if not isinstance(loading, Loading):
            return [[] for _ in sources]

        def lists_of(rows: Any) -> list[list[Any]]:
            objects = iter(loading.values(rows))
            # the same key gives the same object
            found = [{id(one): one for _ in keys if (one := next(objects)) is not None} for keys in lists]
            return [list(each.values()) for each in found]

        return Loading(loading.awaitable, lists_of)

    def _keys(self, parts: Any) -> list[Any]:
        """The keys in the parts; an old document may hold anything in their place."""
        if not isinstance(parts, list):
            return []
        return [key for part in parts if isinstance(part, dict) and (key := read(part, self.key)) is not None]


@dataclass(frozen=True, slots=True)
class Lookup:
    """One object by the global id in the argument `id`."""

    loader: str

    def prepare(self, arguments: Mapping[str, Any]) -> Any:
        return arguments["id"]

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: str) -> Values:
        name = get_named_type(info.return_type).name
        stored = load_stored(self.loader, decode_id_of(name, arguments), info, name, found=True)
        return Loading(stored, lambda found: [found] * len(sources))


def _with_owners(keys: Sequence[Any], owners: Sequence[Any]) -> list[Any]:
    """The keys, with the owners of the rows where keys may be of rows."""
    pairs = zip(keys, owners, strict=True)
    return [OwnedKey.of(key, owner) if type(key) is str and owner is not None else key for key, owner in pairs]


def _objects(loader: str, keys: Sequence[Any], info: ResolveInfo, *, referenced: bool) -> Values:
    """The stored object for each key, the same one for equal keys. None where it doesn't exist or is deleted.

    Where the keys are references from other objects, those that lead nowhere are logged.
    """
    if not _KEYS.issuperset(map(type, keys)):  # an old document may hold anything in place of a key
        if referenced:
            report_dangling(loader, [key for key in keys if type(key) not in _KEYS])
        keys = [key if type(key) in _KEYS else None for key in keys]
    wanted = list(dict.fromkeys(keys))
    if None in wanted:
        wanted.remove(None)
    if not wanted:
        return [None] * len(keys)

    def by_key(rows: Sequence[Any]) -> list[Any]:
        stored = dict(zip(wanted, rows, strict=True))
        if None in rows:
            if referenced:
                report_dangling(loader, [key for key, row in stored.items() if row is None])
            stored = {key: row for key, row in stored.items() if row is not None}
        deleted = read_all(list(stored.values()), "deleted_at")
        if deleted.count(None) < len(deleted):
            stored = {key: row for (key, row), at in zip(stored.items(), deleted, strict=True) if at is None}
        return list(map(stored.get, keys))

    return Loading(info.context.loader(loader).load_many(wanted, columns_of(info) | LIVE_FIELDS), by_key)
