"""The role that transactions of the API take on under row-level security."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from migrations.tables import note

APPLICATION_ROLE: Final = "fashion_wallet_app"
"""The role's name, as `api/stores/postgres/row_level_security.py` has it."""
INSUFFICIENT_PRIVILEGE: Final = "42501"
EXISTS_BY_NOW: Final = frozenset({"42710", "23505"})
"""The errors where a migration of another database has made the role at the same time."""


def create_application_role(connection: sa.Connection, name: str) -> bool:
    """Make sure that the role exists and that the connected user is a member. False where this user may not make it.

    The API may connect as another user; that one has to be made a member by hand.
    """
    exists = sa.text("SELECT count(*) FROM pg_roles WHERE rolname = :name")
    if not connection.scalar(exists, {"name": name}) and not attempt(connection, f"CREATE ROLE {name} NOLOGIN"):
        return False
    if not _may_assume(connection, name) and not attempt(connection, f"GRANT {name} TO CURRENT_USER"):
        note(f"before ROW_LEVEL_SECURITY is set, let an administrator run: GRANT {name} TO <user of the API>")
    return True


def _may_assume(connection: sa.Connection, name: str) -> bool:
    """Whether the user may SET ROLE; since PostgreSQL 16 not every member may."""
    tried = connection.begin_nested()
    try:
        return attempt(connection, f"SET LOCAL ROLE {name}")
    finally:
        tried.rollback()


def attempt(connection: sa.Connection, statement: str) -> bool:
    """Whether the user may run the statement, which then has run."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(statement)
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state in EXISTS_BY_NOW:
            return True
        if state == INSUFFICIENT_PRIVILEGE:
            return False
        raise
    return True
