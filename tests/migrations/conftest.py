"""Databases to migrate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.config.settings import Settings
from migrations import runner
from tests.support.stores import original
from tests.support.stores.databases import copy_source_tree, create_from_models, fresh_database, sql


@pytest.fixture
def settings(postgres_url: str, mongodb_url: str) -> Iterator[Settings]:
    """Settings of a fresh, empty database in each store."""
    with fresh_database(postgres_url, mongodb_url) as settings:
        yield settings


@pytest.fixture(scope="session")
def template(postgres_url: str, mongodb_url: str) -> Iterator[Settings]:
    """Settings of a database that is migrated and that nobody is connected to, for copies of it."""
    with fresh_database(postgres_url, mongodb_url) as settings:
        runner.upgrade(settings)
        yield settings


@pytest.fixture
def migrated(request: pytest.FixtureRequest, postgres_url: str, mongodb_url: str) -> Iterator[Settings]:
    """Settings of a fresh database whose PostgreSQL is migrated, as a copy of one that was.

    Citus is connected to each of its databases, which can't be copied then.
    """
    copied = request.config.getoption("--postgres") == "embedded"
    template = request.getfixturevalue("template") if copied else None
    with fresh_database(postgres_url, mongodb_url, template=template) as settings:
        if not copied:
            runner.upgrade(settings)
        yield settings


@pytest.fixture(scope="session")
def adopted_template(postgres_url: str, mongodb_url: str) -> Iterator[tuple[Settings, list[str]]]:
    """As `template`, of a database of the original service; and what the run said of it."""
    with fresh_database(postgres_url, mongodb_url) as settings:
        sql(settings, original.USERS, original.REST)
        yield settings, runner.upgrade(settings)


@pytest.fixture
def adopted(
    request: pytest.FixtureRequest, adopted_template: tuple[Settings, list[str]], postgres_url: str, mongodb_url: str
) -> Iterator[Settings]:
    """Settings of a fresh database whose PostgreSQL is the original service's and migrated, copied as `migrated` is."""
    copied = request.config.getoption("--postgres") == "embedded"
    with fresh_database(postgres_url, mongodb_url, template=adopted_template[0] if copied else None) as settings:
        if not copied:
            sql(settings, original.USERS, original.REST)
            runner.upgrade(settings)
        yield settings


@pytest.fixture(scope="session")
def modelled(postgres_url: str, mongodb_url: str) -> Iterator[Settings]:
    """Settings of a database made from the models, without any revision, for tests that only look at it."""
    with fresh_database(postgres_url, mongodb_url) as settings:
        create_from_models(settings)
        yield settings


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a copy of the revisions, which the test may add to."""
    return copy_source_tree(tmp_path, monkeypatch)
