"""Databases of a test's own on the suite's servers, for tests that change tables rather than rows."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import uvloop
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from pymongo import AsyncMongoClient
from sqlalchemy import text

from api.config.settings import Settings
from api.stores.postgres.engine import postgres_engine
from migrations import revisions
from migrations.folding import create_fold
from models import SCHEMAS, Base
from tests.support.waiting import pause

_SCRIPTS = ScriptDirectory(str(revisions.FOLDER))
HEAD = _SCRIPTS.get_heads()[0]
REVISIONS = [f"{script.revision} {script.doc}" for script in reversed(list(_SCRIPTS.walk_revisions()))]
"""The oldest first, as the commands print them."""


@contextlib.contextmanager
def fresh_database(postgres_url: str, mongodb_url: str, *, template: Settings | None = None) -> Iterator[Settings]:
    """Settings of an empty database in each store, dropped at the end of the block.

    PostgreSQL's is a copy of that of `template`, which nobody may be connected to.
    """
    name = f"test_{uuid.uuid4().hex}"
    of = f" TEMPLATE {urlsplit(template.postgres_url or '').path[1:]}" if template is not None else ""
    citus = "SELECT FROM pg_extension WHERE extname = 'citus'"
    on_citus = uvloop.run(_execute(postgres_url, f"CREATE DATABASE {name}{of}", citus))
    url = urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
    if on_citus and not of:
        uvloop.run(_execute(url, "CREATE EXTENSION citus"))  # as the coordinator's own database has it
    yield Settings(
        _env_file=None,
        environment="development",
        database_url=SecretStr(url),
        mongodb_uri=SecretStr(mongodb_url),
        mongodb_database=name,
    )
    uvloop.run(_drop(postgres_url, mongodb_url, name))


def copy_source_tree(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the runner work on a copy, where a test may write revisions; returns the copy's folder of revisions."""
    copy = folder / "source" / "migrations"
    shutil.copytree(revisions.FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(revisions.FOLDER.parent / "pyproject.toml", copy.parent)
    monkeypatch.setattr(revisions, "FOLDER", copy)
    return copy / "versions"


def create_from_models(settings: Settings) -> None:
    """Make the tables from the models, without any revision."""
    uvloop.run(_create_all(settings))


def sql(settings: Settings, *statements: str) -> list[asyncpg.Record]:
    """Run the statements; the rows of the last one where it is a SELECT."""
    assert settings.postgres_url is not None
    return uvloop.run(_execute(settings.postgres_url, *statements))


def scalar(settings: Settings, statement: str) -> Any:
    return sql(settings, statement)[0][0]


def structure(settings: Settings) -> dict[str, set[tuple[Any, ...]]]:
    """Everything that the catalogs say of the five schemas, as PostgreSQL itself spells it."""
    ours = f"nspname IN {SCHEMAS}"
    own = "relname NOT IN ('alembic_version', 'adopted_objects')"
    queries = {
        "tables": f"SELECT nspname, relname, relkind, obj_description(c.oid, 'pg_class') FROM pg_class c "
        f"JOIN pg_namespace n ON n.oid = relnamespace WHERE {ours} AND {own} AND relkind IN ('r', 'v', 'S')",
        "columns": "SELECT nspname, relname, attname, format_type(atttypid, atttypmod), attnotnull, "
        "pg_get_expr(adbin, adrelid), col_description(c.oid, attnum) FROM pg_attribute a "
        "JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace "
        f"LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE {ours} AND {own} AND relkind = 'r' "
        "AND attnum > 0 AND NOT attisdropped",
        "constraints": "SELECT nspname, relname, conname, pg_get_constraintdef(k.oid) FROM pg_constraint k "
        f"JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE {ours} AND {own}",
        "indexes": "SELECT schemaname, tablename, indexname, indexdef FROM pg_indexes "
        f"WHERE schemaname IN {SCHEMAS} AND tablename NOT IN ('alembic_version', 'adopted_objects')",
    }
    return uvloop.run(_rows(settings, queries))


async def _rows(settings: Settings, queries: Mapping[str, str]) -> dict[str, set[tuple[Any, ...]]]:
    connection = await asyncpg.connect(settings.postgres_url)
    try:
        return {name: {tuple(row) for row in await connection.fetch(query)} for name, query in queries.items()}
    finally:
        await connection.close()


async def end_sessions(postgres_url: str, condition: str = "application_name = 'fashion-wallet'") -> int:
    """Have the server close the sessions of which this is true, and wait until they are gone. Returns how many."""
    admin = await asyncpg.connect(postgres_url)
    try:
        pids = [
            row["pid"]
            for row in await admin.fetch(
                f"SELECT pid FROM pg_stat_activity WHERE {condition} AND pid <> pg_backend_pid()"
            )
        ]
        await admin.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", pids)
        async with asyncio.timeout(30):
            while await admin.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)", pids):
                await pause()
        return len(pids)
    finally:
        await admin.close()


async def _create_all(settings: Settings) -> None:
    engine = postgres_engine(settings)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE EXTENSION pg_trgm"))
        for schema in SCHEMAS:
            await connection.execute(text(f"CREATE SCHEMA {schema}"))
        await connection.run_sync(create_fold)
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()


async def _execute(url: str, *statements: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        if statements[-1].lstrip().upper().startswith(("SELECT", "WITH")):
            return await connection.fetch(statements[-1])
        await connection.execute(statements[-1])
        return []
    finally:
        await connection.close()


async def _drop(postgres_url: str, mongodb_url: str, name: str) -> None:
    await _execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")
    async with AsyncMongoClient[dict[str, Any]](mongodb_url) as client:
        await client.drop_database(name)
