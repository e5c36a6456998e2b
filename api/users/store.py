"""Statements on `shared.users`."""

import models
from api.rows import RowReader

users = RowReader(models.User)
