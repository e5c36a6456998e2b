"""`fashion-wallet migrate ...`: what it prints, and how it fails."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from api.commands.main import app
from api.config.settings import Settings
from api.embedded.servers import embedded_stores
from tests.support.stores import original
from tests.support.stores.databases import REVISIONS, copy_source_tree, fresh_database, scalar, sql

Migrate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def settings(postgres_url: str, mongodb_url: str) -> Iterator[Settings]:
    """Settings of a fresh, empty database in each store."""
    with fresh_database(postgres_url, mongodb_url) as settings:
        yield settings


@pytest.fixture
def migrate(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Migrate:
    """Runs `migrate` on the fresh database; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("database_url", "mongodb_uri", "mongodb_database"):
        value = getattr(settings, name)
        monkeypatch.setenv(name.upper(), value.get_secret_value() if isinstance(value, SecretStr) else value)

    def run(*arguments: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["migrate", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.stdout, result.stderr

    return run


def test_run_show_and_revert(migrate: Migrate) -> None:
    # when
    code, output, _ = migrate("run")

    # then
    assert code == 0
    assert REVISIONS[1] == "1daa78b4c618 Users"
    assert output.splitlines()[: len(REVISIONS)] == [f"PostgreSQL: applied {revision}" for revision in REVISIONS]
    assert output.splitlines()[len(REVISIONS)] == "MongoDB: collection designs: created with its validator"

    # and when
    assert migrate("revert", "--steps", "2")[1].splitlines() == [
        f"PostgreSQL: reverted {REVISIONS[-1]}",
        f"PostgreSQL: reverted {REVISIONS[-2]}",
    ]
    code, output, _ = migrate("show")

    # then
    assert code == 0
    assert output.splitlines()[: len(REVISIONS) + 6] == [
        "PostgreSQL",
        f"  current: {REVISIONS[-3].partition(' ')[0]}",
        "  pending: 2",
        *(f"  [x] {revision}" for revision in REVISIONS[:-2]),
        *(f"  [ ] {revision}" for revision in REVISIONS[-2:]),
        "MongoDB",
        "  collection designs: present",
        "  collection design_revisions: present",
    ]
    assert "  index idx_designs_tags: present" in output.splitlines()

    # and when
    assert migrate("revert")[1] == f"PostgreSQL: reverted {REVISIONS[-3]}\n"
    assert len(migrate("revert", "--to", "base")[1].splitlines()) == len(REVISIONS) - 3
    assert migrate("revert", "--to", "base")[1] == "Nothing to do: the database is there already\n"


def test_show_of_empty_stores(migrate: Migrate) -> None:
    code, output, _ = migrate("show")
    assert code == 0
    assert output.splitlines()[1:3] == ["  current: none", f"  pending: {len(REVISIONS)}"]
    assert "  collection designs: missing\n" in output
    assert "  collection design_revisions: missing\n" in output
    assert "  index idx_designs_tags: missing\n" in output


def test_run_to_a_revision(migrate: Migrate, settings: Settings) -> None:
    assert migrate("run", "--revision", "1daa78b4c618", "--wait", "5", "--lock-timeout", "5")[0] == 0
    assert scalar(settings, "SELECT to_regclass('shared.users')") is not None
    assert scalar(settings, "SELECT to_regclass('avatar.avatars')") is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--revision", "nowhere"), "Error: Can't locate revision identified by 'nowhere'\n"),
        (("revert", "--to", "nowhere"), "Error: Can't locate revision identified by 'nowhere'\n"),
        (("revert",), "Error: Relative revision -1 didn't produce 1 migrations\n"),
        (("generate", "-m", "x"), "Error: the database is not at the newest revision: run `migrate run` first\n"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line(migrate: Migrate, arguments: tuple[str, ...], message: str) -> None:
    assert migrate(*arguments) == (1, "", message)


def test_a_refused_adoption_lists_what_contradicts_it(migrate: Migrate, settings: Settings) -> None:
    sql(settings, original.USERS, "INSERT INTO shared.users (email, password_hash) VALUES ('BOB@example.com', 'x')")
    code, output, error = migrate("run")
    assert (code, output) == (1, "")
    assert error.startswith("Error: 1 rule is broken in this database; nothing was changed\n1. shared.users: an email")
    assert re.search(r"^   broken once: \S+ = \S+$", error, re.MULTILINE)


def test_revert_takes_one_way_to_say_how_far(migrate: Migrate) -> None:
    code, _, error = migrate("revert", "--to", "base", "--steps", "1")
    assert code == 2
    assert "give either --to or --steps" in error


def test_generate_and_create(
    migrate: Migrate, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    versions = copy_source_tree(tmp_path, monkeypatch)
    migrate("run")
    before = set(versions.glob("*.py"))

    # when nothing differs, then
    assert migrate("generate", "-m", "nothing") == (0, "No difference: nothing was written\n", "")
    assert set(versions.glob("*.py")) == before

    # and when something does, then
    sql(settings, "DROP INDEX shared.idx_users_role")
    code, output, _ = migrate("generate", "-m", "Index the roles")
    (generated,) = set(versions.glob("*.py")) - before
    assert (code, output) == (0, f"Written: {generated}\n")
    assert "op.create_index('idx_users_role', 'users', ['role', 'created_at', 'id']" in generated.read_text()

    # and when, then
    code, output, _ = migrate("create", "-m", "By hand")
    (created,) = set(versions.glob("*.py")) - before - {generated}
    assert (code, output) == (0, f"Written: {created}\n")


# pymongo leaves the socket open when its monitor is cancelled while it connects
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_show_with_both_stores_down(migrate: Migrate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone:hunter2@127.0.0.1:1/none")
    monkeypatch.setenv("MONGODB_URI", "mongodb://someone:hunter2@127.0.0.1:1")
    monkeypatch.setenv("MONGODB_SELECTION_TIMEOUT", "0.1")
    code, output, error = migrate("show")
    gc.collect()
    assert (code, error) == (1, "")
    assert [line.partition(":")[0] for line in output.splitlines()] == [
        "PostgreSQL",
        "  PostgreSQL",
        "MongoDB",
        "  MongoDB",
    ]
    assert "hunter2" not in output


def test_an_unreadable_url_is_named_and_not_shown(migrate: Migrate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone:hunter2@127.0.0.1:hunter3/none")
    code, _, error = migrate("run")
    assert (code, error) == (2, "Error: DATABASE_URL: not a valid PostgreSQL URL\n")


def test_one_store_configured_is_an_error_that_names_the_other(
    migrate: Migrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MONGODB_URI")
    code, _, error = migrate("run")
    assert (code, error) == (2, "Error: MONGODB_URI is not set\n")


def test_production_without_stores_is_refused(migrate: Migrate, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "MONGODB_URI"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("ENVIRONMENT", "production")
    code, _, error = migrate("run")
    assert code == 2
    assert "must be set in production" in error


def test_the_embedded_stores_of_dev_are_used_where_none_is_configured(
    migrate: Migrate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given: a folder in use, so that no second pair of servers has to start
    for name in ("DATABASE_URL", "MONGODB_URI"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    with embedded_stores(tmp_path, postgres=False, mongodb=False):
        # when
        code, _, error = migrate("show")
    # then
    assert code == 1
    assert f"{tmp_path} is in use by process" in error
