"""Loaders of avatars."""

from api.avatars import store

avatars = {
    "avatar": store.avatars.by_id,
    "avatars": store.avatars.pages,
    "avatars_count": store.avatars.counts,
    "default_avatar": store.default_avatar,
}
