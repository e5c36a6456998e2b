"""Alembic's environment. The runner passes its connection; Alembic's own command line gets one like it.

The version table is `shared.alembic_version`: everything of this application is in its five schemas, so a dump of
them carries the revision along, and `public` (where the original service keeps its `migrations`) stays untouched.
Only the owner of a database may write to `public` anyway, since PostgreSQL 15.
"""

from __future__ import annotations

import asyncio

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, text

from api.config.settings import load_settings
from migrations.connection import exclusive_connection
from migrations.drift import Comparison, leave_search_path
from migrations.extensions import show_extension
from migrations.tables import VERSION_SCHEMA, VERSION_TABLE, has_schema
from models import Base


def migrate(connection: Connection) -> None:
    """Run the command on this connection, in one transaction: a revision that fails undoes those before it too."""
    leave_search_path(connection)
    comparison = Comparison(connection, skip_empty=context.config.attributes.get("skip_empty", False))
    connection.commit()  # Alembic starts its own transaction
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        version_table_schema=VERSION_SCHEMA,
        include_schemas=True,
        include_name=comparison.include_name,
        include_object=comparison.include_object,
        process_revision_directives=comparison.add_differences,
        compare_type=True,
        compare_server_default=comparison.compare_server_default,
        on_version_apply=context.config.attributes.get("on_version_apply"),
    )
    with context.begin_transaction():
        if not context.get_context().opts.get("dont_mutate") and not has_schema(connection, VERSION_SCHEMA):
            connection.execute(text(f"CREATE SCHEMA {VERSION_SCHEMA}"))
        show_extension(connection, "pg_trgm")
        context.run_migrations()


async def migrate_configured() -> None:
    """Run the command on the database of the environment's settings."""
    async with exclusive_connection(load_settings()) as connection:
        await connection.run_sync(migrate)


if context.is_offline_mode():
    raise CommandError("--sql is not supported: the revisions look at what the database already has")
if (given := context.config.attributes.get("connection")) is not None:
    migrate(given)
else:
    asyncio.run(migrate_configured())
