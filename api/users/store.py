"""Statements on `shared.users`."""

import models
from api.lists.rows import RowReader

users = RowReader(models.User)
