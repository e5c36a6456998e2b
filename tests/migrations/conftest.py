"""Databases to migrate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.config.settings import Settings
from migrations import runner
from tests.support.stores.databases import copy_source_tree, create_from_models, fresh_database


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
    copied = request.config.getoption("--postgres") != "citus"
    template = request.getfixturevalue("template") if copied else None
    with fresh_database(postgres_url, mongodb_url, template=template) as settings:
        if not copied:
            runner.upgrade(settings)
        yield settings


@pytest.fixture
def modelled(postgres_url: str, mongodb_url: str) -> Iterator[Settings]:
    """Settings of a database made from the models, without any revision."""
    with fresh_database(postgres_url, mongodb_url) as settings:
        create_from_models(settings)
        yield settings


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a copy of the revisions, which the test may add to."""
    return copy_source_tree(tmp_path, monkeypatch)
