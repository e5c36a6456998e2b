"""PostgreSQL's one extension that search needs. Others that a database has stay where they are."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from migrations.errors import MigrationError


def require_extension(connection: sa.Connection, name: str) -> None:
    """Make sure that the extension is there. Raises MigrationError when it can't be made."""
    if is_installed(connection, name):
        return
    if not is_available(connection, name):
        raise MigrationError(
            f"this PostgreSQL server has no extension {name}, which search needs: "
            "install the server's contrib package, or use a server that offers it"
        )
    try:
        _create(connection, name)
    except DBAPIError as error:
        raise MigrationError(
            f"the extension {name} can't be created by this user; let an administrator run: "
            f'CREATE EXTENSION "{name}" (the server said: {error.orig.__cause__ if error.orig else error})'
        ) from error


def show_extension(connection: sa.Connection, name: str) -> None:
    """Put the extension's schema on the search path of this transaction, where an administrator chose another."""
    connection.execute(
        sa.text(
            "SELECT set_config('search_path', concat_ws(', ', nullif(current_setting('search_path'), ''), "
            "quote_ident(nspname)), true) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace "
            "WHERE extname = :name AND nspname <> ALL (current_schemas(true))"
        ),
        {"name": name},
    )


def is_installed(connection: sa.Connection, name: str) -> bool:
    """Whether this database has the extension."""
    return bool(connection.scalar(sa.text("SELECT count(*) FROM pg_extension WHERE extname = :name"), {"name": name}))


def is_available(connection: sa.Connection, name: str) -> bool:
    """Whether the server offers the extension."""
    query = sa.text("SELECT count(*) FROM pg_available_extensions WHERE name = :name")
    return bool(connection.scalar(query, {"name": name}))


def _create(connection: sa.Connection, name: str) -> None:
    with connection.begin_nested():
        connection.exec_driver_sql(f'CREATE EXTENSION IF NOT EXISTS "{name}"')
