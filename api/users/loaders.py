"""Loaders of users."""

from collections.abc import Mapping
from typing import Final

from api.fields.sources import Source, counts, objects, pages
from api.users import store

sources: Final[Mapping[str, Source]] = {
    "user": objects(store.users.by_id),
    "users": pages(store.users.pages),
    "users_count": counts(store.users.counts),
}
