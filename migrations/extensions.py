"""PostgreSQL's one extension that search needs. Others that a database has stay where they are."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from migrations.errors import MigrationError

OTHERWISE: Final = "extensions"
"""The schema that is made for an extension where there is none to put it into. It isn't one of ours, as it gets onto
the search path, and Alembic leaves out the schema of what it finds through the path."""
_REASONS: Final = {
    "42501": 'this user may not create it; let an administrator run: CREATE EXTENSION "{name}"',
    "0A000": "this server allows it only when it is listed (at Azure, in the parameter azure.extensions); add {name}",
}
"""What to do, by SQLSTATE; what the server said follows."""


def require_extension(connection: sa.Connection, name: str) -> None:
    """Make sure that the extension is there, or raise MigrationError. It is found for the rest of the transaction."""
    found = connection.execute(
        sa.text(
            "SELECT quote_ident(nspname) AS schema, has_schema_privilege(n.oid, 'USAGE') AS usable, "
            "quote_ident(current_user) AS user FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace "
            "WHERE extname = :name"
        ),
        {"name": name},
    ).one_or_none()
    if found is not None:
        if not found.usable:
            raise MigrationError(
                f"the extension {name} is in the schema {found.schema}, which this user may not use; "
                f"let an administrator run: GRANT USAGE ON SCHEMA {found.schema} TO {found.user}"
            )
        return
    if not is_available(connection, name):
        raise MigrationError(
            f"this PostgreSQL server has no extension {name}, which search needs: "
            "install the server's contrib package, or use a server that offers it"
        )
    try:
        with connection.begin_nested():
            if (schema := _schema(connection)) == OTHERWISE:
                connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            connection.exec_driver_sql(f'CREATE EXTENSION IF NOT EXISTS "{name}" SCHEMA {schema}')
    except DBAPIError as error:
        said = str(error.orig.__cause__ or error.orig if error.orig else error).partition("\n")[0]
        reason = _REASONS.get(getattr(error.orig, "sqlstate", ""), "it can't be created").format(name=name)
        raise MigrationError(f"search needs the extension {name}: {reason} (the server said: {said})") from error
    show_extension(connection, name)


def _schema(connection: sa.Connection) -> str:
    """Where extensions go: the first schema on the search path, or one that is there where it names none."""
    query = sa.text(
        "SELECT coalesce(quote_ident(current_schema()), (SELECT nspname FROM pg_namespace "
        "WHERE nspname = 'public' AND has_schema_privilege(oid, 'CREATE')), :otherwise)"
    )
    return str(connection.scalar(query, {"otherwise": OTHERWISE}))


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


def is_available(connection: sa.Connection, name: str) -> bool:
    """Whether the server offers the extension."""
    query = sa.text("SELECT count(*) FROM pg_available_extensions WHERE name = :name")
    return bool(connection.scalar(query, {"name": name}))
