"""Loaders of avatars."""

from collections.abc import Mapping
from typing import Final

from api.avatars import store
from api.fields.sources import Source, counts, objects, pages

sources: Final[Mapping[str, Source]] = {
    "avatar": objects(store.avatars.by_id),
    "default_avatar": objects(store.default_avatar),
    "avatars": pages(store.avatars.pages),
    "avatars_count": counts(store.avatars.counts),
}
