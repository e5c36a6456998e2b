"""Migrations of both stores, called from synchronous code: each function runs an event loop of its own.

All raise MigrationError (one line: a server that does not answer, a lock that is held, an unknown revision) or
ConfigurationError (no server configured). PostgreSQL's part of a run is one transaction.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pymongo
from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError
from sqlalchemy import Connection

from api.config.postgres_url import parse
from api.config.settings import ConfigurationError, Settings
from api.stores.mongodb.client import MongoClient, mongo_client, mongo_database, require_version
from documents import collection
from migrations import distribution, revisions
from migrations.adoption import existing
from migrations.connection import LOCK_TIMEOUT, LOCK_WAIT, exclusive_connection, migration_engine, time_zone
from migrations.errors import AdoptionError, MigrationError, carry_out, explain
from migrations.examination import examine, require_time_zone
from migrations.grants import complete_grants
from migrations.revisions import all_revisions, heads_of, message_of
from migrations.search_language import adopt_language
from migrations.tables import not_ours

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of PostgreSQL's schema."""

    id: str
    message: str
    applied: bool


@dataclass(frozen=True, slots=True)
class State:
    """Both stores as they are. Where a store could not be asked, its error says why and the rest is None."""

    revisions: tuple[Revision, ...] | None
    """Oldest first."""
    postgres_error: str | None
    collection: collection.CollectionState | None
    mongodb_error: str | None

    @property
    def current(self) -> str | None:
        """The revision that the database is at, None for none at all."""
        return next((revision.id for revision in reversed(self.revisions or ()) if revision.applied), None)

    @property
    def pending(self) -> tuple[Revision, ...]:
        """What `upgrade` would apply, in that order."""
        return tuple(revision for revision in self.revisions or () if not revision.applied)


def upgrade(
    settings: Settings,
    revision: str = "head",
    *,
    wait: float = LOCK_WAIT,
    lock_timeout: float = LOCK_TIMEOUT,
    timestamps_in: str | None = None,
) -> list[str]:
    """Bring PostgreSQL to the revision, and MongoDB's collection, validator and indexes to what the code declares.

    Timestamps of adopted tables that have no time zone are read as of `timestamps_in`, else as of the database's.
    Waits up to `wait` seconds for another migration and up to `lock_timeout` seconds for each table. Returns one
    line for each thing done, and for each thing that could not be or that deserves a look.
    """
    lines: list[str] = []
    carry_out(_upgrade(settings, revision, lines, wait=wait, lock_timeout=lock_timeout, zone=timestamps_in))
    return lines


def downgrade(
    settings: Settings, revision: str, *, wait: float = LOCK_WAIT, lock_timeout: float = LOCK_TIMEOUT
) -> list[str]:
    """Bring PostgreSQL back to the revision (`base`, an id, or `-2` for two steps). MongoDB is left as it is.

    Tables that the undone revisions made are dropped with their rows. Returns one line for each step.
    """
    lines: list[str] = []
    carry_out(_downgrade(settings, revision, lines, wait=wait, lock_timeout=lock_timeout))
    return lines


def show(settings: Settings) -> State:
    """The state of both stores, also where one of them is down. Changes nothing, and waits for no lock."""
    return asyncio.run(_show(settings))


def generate(settings: Settings, message: str) -> Path | None:
    """Write a revision with the differences between the models and PostgreSQL; None and no file where there are none.

    Raises MigrationError where the database is not at the newest revision.
    """
    return carry_out(_generate(settings, message))


def create(message: str) -> Path:
    """Write an empty revision, to be filled in by hand."""
    return _written(command.revision(_source_config(), message=message))


def _config(**attributes: Any) -> Config:
    """What `[tool.alembic]` says, as far as running needs it: an installed wheel has no pyproject.toml."""
    config = Config(attributes=attributes)
    config.set_main_option("script_location", str(revisions.FOLDER).replace("%", "%%"))
    return config


def _source_config(**attributes: Any) -> Config:
    """The configuration of the source tree, the only place where revisions are written."""
    pyproject = revisions.FOLDER.parent / "pyproject.toml"
    if not pyproject.is_file():
        raise MigrationError("revisions are written in the source tree, and this is an installed package")
    return Config(toml_file=pyproject, attributes=attributes, cmd_opts=Namespace(quiet=True))


async def _upgrade(
    settings: Settings, revision: str, lines: list[str], *, wait: float, lock_timeout: float, zone: str | None
) -> None:
    def applied(*, step: Any, **_: Any) -> None:
        lines.append(f"PostgreSQL: applied {step.up_revision_id} {message_of(step.up_revision)}")

    client = mongo_client(settings)  # made first, so that a missing setting is found before anything is changed
    try:
        async with exclusive_connection(settings, wait=wait, lock_timeout=lock_timeout) as connection:
            await _ping(settings, client)  # with MongoDB down, PostgreSQL is left as it is
            notes: list[str] = []
            assumed = await time_zone(settings)

            scripts = all_revisions()

            def run(sync: Connection) -> None:
                _refuse_contradictions(sync, scripts, revision, zone)
                attributes = {"notes": notes, "timestamps_in": zone, "database_time_zone": assumed}
                config = _config(connection=sync, on_version_apply=applied, **attributes)
                _apply(config, scripts, revision, lambda at, _: scripts._upgrade_revs(revision, at))

            await connection.run_sync(run)
            notes += await connection.run_sync(_complete_grants, scripts, settings)
            notes += await connection.run_sync(adopt_language, settings.search_language)
            lines += [f"PostgreSQL: {note}" for note in notes]
            lines += [f"MongoDB: {line}" for line in await collection.ensure(mongo_database(settings, client))]
    finally:
        await client.close()


async def _downgrade(settings: Settings, revision: str, lines: list[str], *, wait: float, lock_timeout: float) -> None:
    def undone(*, step: Any, **_: Any) -> None:
        lines.append(f"PostgreSQL: reverted {step.up_revision_id} {message_of(step.up_revision)}")

    async with exclusive_connection(settings, wait=wait, lock_timeout=lock_timeout) as connection:

        def run(sync: Connection) -> None:
            scripts = all_revisions()
            heads_of(sync, scripts)
            if distribution.is_distributed(sync):
                raise MigrationError("the tables are distributed: run `migrate distribute --undo` first")
            sync.rollback()
            config = _config(connection=sync, on_version_apply=undone)
            _apply(config, scripts, revision, lambda at, _: scripts._downgrade_revs(revision, at))

        await connection.run_sync(run)


async def _show(settings: Settings) -> State:
    steps, postgres_error = await _attempt(_revisions(settings))
    state, mongodb_error = await _attempt(_collection(settings))
    return State(steps, postgres_error, state, mongodb_error)


async def _attempt(work: Coroutine[Any, Any, Result]) -> tuple[Result | None, str | None]:
    try:
        return await work, None
    except (MigrationError, ConfigurationError) as error:
        return None, str(error)
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        return None, line


async def _revisions(settings: Settings) -> tuple[Revision, ...]:
    scripts = all_revisions()
    async with migration_engine(settings) as engine, engine.connect() as connection:
        heads = await connection.run_sync(heads_of, scripts)
    applied = {found.revision for found in scripts.iterate_revisions(heads, "base")}
    return tuple(
        Revision(found.revision, message_of(found), found.revision in applied)
        for found in reversed(list(scripts.walk_revisions()))
    )


async def _collection(settings: Settings) -> collection.CollectionState:
    client = mongo_client(settings)
    try:
        await _ping(settings, client)
        return await collection.describe(mongo_database(settings, client))
    finally:
        await client.close()


async def _ping(settings: Settings, client: MongoClient) -> None:
    """Find out soon whether MongoDB answers, since the commands that follow wait long."""
    with pymongo.timeout(settings.mongodb_selection_timeout):
        await client.admin.command("ping")
        require_version(client)


async def _generate(settings: Settings, message: str) -> Path | None:
    async with exclusive_connection(settings) as connection:

        def run(sync: Connection) -> Path | None:
            config = _source_config(connection=sync, skip_empty=True)
            scripts = all_revisions()
            if heads_of(sync, scripts) != tuple(scripts.get_heads()):
                raise MigrationError("the database is not at the newest revision: run `migrate run` first")
            written = command.revision(config, message=message, autogenerate=True)
            return _written(written) if written else None

        return await connection.run_sync(run)


def _apply(config: Config, scripts: ScriptDirectory, target: str, steps: Callable[..., Any]) -> None:
    """Run these steps, as the commands of Alembic do, which would read all revisions once more."""
    with EnvironmentContext(config, scripts, fn=steps, destination_rev=target):
        scripts.run_env()


def _refuse_contradictions(connection: Connection, scripts: ScriptDirectory, revision: str, zone: str | None) -> None:
    """Raise MigrationError for whatever keeps existing tables from becoming those of the pending revisions."""
    heads = heads_of(connection, scripts)
    try:
        pending = list(scripts.iterate_revisions(revision, heads))
    except RevisionError:
        return  # Alembic says why in a moment
    adopted = [table for script in reversed(pending) for table in getattr(script.module, "ADOPTS", ())]
    made = [table for script in reversed(pending) for table in getattr(script.module, "MAKES", ())]
    try:
        if zone is not None:
            require_time_zone(connection, zone)
        contradictions = examine(connection, adopted)
        contradictions += [not_ours(table) for table in existing(connection, made)]
    finally:
        connection.rollback()
    if contradictions:
        raise AdoptionError.of(contradictions)


def _complete_grants(connection: Connection, scripts: ScriptDirectory, settings: Settings) -> list[str]:
    """Give the API its rights. Only at the newest revision: before it, some of the tables aren't there."""
    try:
        if heads_of(connection, scripts) != tuple(scripts.get_heads()):
            return []
        user = parse(settings.postgres_url or "").user if settings.migration_database_url is not None else None
        lines = complete_grants(connection, user, row_level_security=settings.row_level_security)
        connection.commit()
        return lines
    finally:
        connection.rollback()


def _written(revision: Script | list[Script | None] | None) -> Path:
    assert isinstance(revision, Script)
    revisions.forget()
    return Path(revision.path)
