"""Statements on `avatar.avatars`."""

from functools import partial

import models
from api.lists.rows import RowReader
from api.stores.stores import Stores
from models import PostgresRepository

avatars = RowReader(models.Avatar)


default_avatar = partial(avatars.one_by, "user_id", models.Avatar.__table__.c.is_default)
"""The default avatar of each user."""


def repository(stores: Stores) -> PostgresRepository[models.Avatar]:
    """The repository of avatars."""
    return PostgresRepository(models.Avatar, stores.reads, stores.sessions)
