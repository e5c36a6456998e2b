"""Loaders of users."""

from api.users import store

users = {"user": store.users.by_id, "users": store.users.pages, "users_count": store.users.counts}
