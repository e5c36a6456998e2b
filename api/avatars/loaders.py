"""Loaders of avatars."""

from api.avatars import store

by_key = {"avatar": store.avatars.by_id, "default_avatar": store.default_avatar}
lists = {"avatars": store.avatars.pages, "avatars_count": store.avatars.counts}
