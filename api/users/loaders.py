"""Loaders of users."""

from api.users import store

by_key = {"user": store.users.by_id}
lists = {"users": store.users.pages, "users_count": store.users.counts}
