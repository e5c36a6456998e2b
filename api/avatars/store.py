"""Statements on `avatar.avatars`."""

from functools import partial

import models
from api.rows import RowReader

avatars = RowReader(models.Avatar)


default_avatar = partial(avatars.one_by, "user_id", models.Avatar.__table__.c.is_default)
"""The default avatar of each user."""
