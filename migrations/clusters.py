"""Spreads both stores over the machines of their clusters, PostgreSQL's tables first, and brings them back.

Each is asked before anything is changed. Where only one of them is a cluster, that one is spread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from migrations import distribution, sharding
from migrations.errors import MigrationError

Say = Callable[[str], None]


async def distribute(
    connection: AsyncConnection,
    database: AsyncDatabase[dict[str, Any]],
    server: sharding.Server,
    say: Say,
    *,
    undo: bool,
    dry_run: bool,
) -> int:
    """Do what is still to be done, or undo what was done; with `dry_run`, only say what that is.

    `server` is what MongoDB has said. `say` gets a line for each step and for a store that is left as it is. Returns
    the number of steps. Raises MigrationError where neither store is a cluster, or one refuses in advance.
    """
    has_citus = await connection.run_sync(_look, server.is_mongos)
    commands, refusal = _commands(server, undo=undo)
    if refusal is not None and not (has_citus and await connection.run_sync(_is_distributed)):
        raise MigrationError(f"MongoDB: {refusal}")
    if not undo:
        refusal = None if server.is_mongos else sharding.NO_MONGOS
        if not has_citus:
            say(f"{'-- ' * dry_run}PostgreSQL: left as it is, {distribution.NO_CITUS}")
    if refusal is not None:
        say(f"{'-- ' * dry_run}MongoDB: left as it is, {refusal}")

    steps = 0
    if has_citus:
        steps += await (_tables_back if undo else _tables)(connection, say, dry_run=dry_run)
    for command in commands:
        if dry_run:
            say(f"// {command.name}")
            say(f"{command};")
        else:
            await sharding.do(database, command)
            say(f"MongoDB: {command.name}")
    return steps + len(commands)


def _look(connection: Connection, is_mongos: bool) -> bool:
    """Whether PostgreSQL's tables can be distributed. Raises MigrationError where nothing can, or nodes are missing."""
    try:
        if has_citus := distribution.has_citus(connection):
            distribution.require_coordinator(connection)
        elif not is_mongos:
            raise MigrationError(f"{distribution.NO_CITUS}. MongoDB: {sharding.NO_MONGOS}")
        return has_citus
    finally:
        connection.rollback()


def _is_distributed(connection: Connection) -> bool:
    try:
        return distribution.is_distributed(connection)
    finally:
        connection.rollback()


def _commands(server: sharding.Server, *, undo: bool) -> tuple[list[sharding.Step], str | None]:
    """What is to be sent to MongoDB, or why nothing can be undone there."""
    if not undo:
        return sharding.pending(server), None
    try:
        return sharding.undoing(server), None
    except MigrationError as error:
        return [], str(error)


async def _tables(connection: AsyncConnection, say: Say, *, dry_run: bool) -> int:
    def look(sync: Connection) -> list[distribution.Step]:
        steps = distribution.pending(sync)
        if dry_run:
            for line in distribution.planned(sync, steps):
                say(line)
        sync.rollback()
        return steps

    steps = await connection.run_sync(look)
    for step in [] if dry_run else steps:
        async with connection.begin():
            await connection.run_sync(distribution.do, step)
        say(f"PostgreSQL: {step.name}")
    return len(steps)


async def _tables_back(connection: AsyncConnection, say: Say, *, dry_run: bool) -> int:
    def look(sync: Connection) -> list[str]:
        lines = distribution.undoing(sync)
        sync.rollback()
        return lines

    if dry_run:
        lines = await connection.run_sync(look)
        for line in lines:
            say(line)
        return len(lines)
    steps = 0
    while True:
        async with connection.begin():
            undone = await connection.run_sync(distribution.undo_last)
        if undone is None:
            return steps
        say(f"PostgreSQL: undone: {undone}")
        steps += 1
