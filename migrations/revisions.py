"""The revisions that there are, and those that a database is at."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final

from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection

from migrations.errors import MigrationError
from migrations.tables import VERSION_SCHEMA, VERSION_TABLE

FOLDER: Final = Path(__file__).parent


def all_revisions() -> ScriptDirectory:
    """The revisions that there are."""
    return _read(FOLDER)


@functools.cache
def _read(folder: Path) -> ScriptDirectory:
    """Reading all revisions takes a while: a process does it once."""
    return ScriptDirectory(str(folder))


def forget() -> None:
    """Read them anew next time: there is another one."""
    _read.cache_clear()


def heads_of(connection: Connection, scripts: ScriptDirectory) -> tuple[str, ...]:
    """The revisions that the database is at. Raises MigrationError where this version of the program lacks one."""
    options = {"version_table": VERSION_TABLE, "version_table_schema": VERSION_SCHEMA}
    heads = MigrationContext.configure(connection, opts=options).get_current_heads()
    connection.rollback()  # Alembic starts a transaction of its own
    known = {revision.revision for revision in scripts.walk_revisions()}
    for head in heads:
        if head not in known:
            raise MigrationError(
                f"PostgreSQL is at revision {head}, which another version of this program has applied and this one "
                "does not have: run that version, or use another database"
            )
    return heads


def message_of(revision: Script) -> str:
    """The first line of what it says of itself."""
    return revision.doc.splitlines()[0]
