"""The command line without its servers: what it prints, writes and refuses, and `.env.example`."""

from __future__ import annotations

import os
import re
from importlib.metadata import version
from pathlib import Path

import asyncpg
import pytest
from pymongo.errors import ServerSelectionTimeoutError
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from api.commands.env_example import env_example
from api.commands.main import app
from api.config.settings import ConfigurationError, Settings
from api.embedded.packages import EmbeddedError
from api.errors import StoreUnavailable
from api.schema import print_sdl
from api.stores.startup_errors import describe
from tests.support.processes import start
from tests.support.servers import environment

ROOT = Path(__file__).parents[2]


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the settings' variables in the environment."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_version() -> None:
    assert run("--version") == f"fashion-wallet {version('fashion-wallet')}\n"


def test_help_names_every_command() -> None:
    listed = re.findall(r"^│ (\w+) ", run("--help"), re.MULTILINE)

    assert listed == [
        "serve",
        "dev",
        "schema",
        "config",
        "errors",
        "reconcile",
        "migrate",
        "demo",
        "user",
        "documents",
        "search",
        "explorer",
        "backup",
        "restore",
    ]


@pytest.mark.parametrize(
    ("name", "usage"),
    [("migrate", "[OPTIONS] COMMAND [ARGS]..."), ("explorer", "[OPTIONS] COMMAND [ARGS]..."), ("demo", "[OPTIONS]")],
)
def test_commands_of_other_modules_are_under_their_names(name: str, usage: str) -> None:
    assert re.search(rf"^ Usage: \S+ {name} {re.escape(usage)} *$", run(name, "--help"), re.MULTILINE)


def test_an_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(app, ["sevre"])

    assert result.exit_code == 2
    assert "No such command 'sevre'" in result.stderr


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--port", "65536", "less than or equal to 65535"),
        ("--port", "-1", "greater than or equal to 0"),
        ("--workers", "0", "greater than or equal to 1"),
        ("--workers", "65", "less than or equal to 64"),
    ],
)
@pytest.mark.parametrize("name", ["serve", "dev"])
def test_an_impossible_option_is_refused(name: str, option: str, value: str, reason: str) -> None:
    result = CliRunner().invoke(app, [name, option, value])

    assert result.exit_code == 2
    assert f"Invalid value for '{option}': Input should be {reason}" in result.stderr


def test_schema_is_printed_and_written(tmp_path: Path) -> None:
    assert run("schema") == print_sdl()

    assert run("schema", "--output", str(tmp_path / "schema.graphql")) == ""
    assert (tmp_path / "schema.graphql").read_text("utf-8") == print_sdl()


def test_config_is_printed_and_written(tmp_path: Path) -> None:
    assert run("config") == env_example()

    assert run("config", "--output", str(tmp_path / "example")) == ""
    assert (tmp_path / "example").read_text("utf-8") == env_example()


def test_env_example_is_not_stale() -> None:
    assert (ROOT / ".env.example").read_text("utf-8") == env_example(), (
        "run `fashion-wallet config --output .env.example`"
    )


def test_env_example_has_every_setting_with_its_default(tmp_path: Path, no_variables: None) -> None:
    # given: a copy with every variable taken in
    text = re.sub(r"^# ([A-Z_]+=)", r"\1", env_example(), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(text)
    assert set(re.findall(r"^([A-Z_]+)=", text, re.MULTILINE)) == {name.upper() for name in Settings.model_fields}

    assert Settings(_env_file=tmp_path / ".env") == Settings(_env_file=None)


def test_a_childs_environment_says_what_the_settings_say(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, no_variables: None
) -> None:
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)

    assert Settings(_env_file=None) == settings


POSTGRES_DOWN = OSError(111, "Connect call failed ('127.0.0.1', 1)")
MONGODB_DOWN = ServerSelectionTimeoutError(
    "h:1: refused (configured timeouts: x), Timeout: 5s, Topology Description: <y>"
)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigurationError("PORT: too large"), "PORT: too large"),
        (EmbeddedError("in use"), "in use"),
        (StoreUnavailable("PostgreSQL"), "PostgreSQL is not available; try again later."),
        (POSTGRES_DOWN, "PostgreSQL: [Errno 111] Connect call failed ('127.0.0.1', 1)"),
        (TimeoutError(), "PostgreSQL: TimeoutError"),
        (
            asyncpg.InvalidPasswordError('password authentication failed for user "u"'),
            'PostgreSQL: password authentication failed for user "u"',
        ),
        (DBAPIError("SELECT 1", {}, Exception("gone\nHINT: more")), "PostgreSQL: gone"),
        (MONGODB_DOWN, "MongoDB: h:1: refused"),
        (
            ExceptionGroup("both", [POSTGRES_DOWN, MONGODB_DOWN]),
            "PostgreSQL: [Errno 111] Connect call failed ('127.0.0.1', 1)\nMongoDB: h:1: refused",
        ),
        (OSError("can't reach postgresql://u:hunter2@db/x"), "PostgreSQL: can't reach postgresql://db/x"),
    ],
)
def test_what_a_user_can_put_right_is_one_line(error: Exception, text: str) -> None:
    assert describe(error) == text


def test_a_bug_is_not_described() -> None:
    assert describe(KeyError("name")) is None
    assert describe(ExceptionGroup("two", [POSTGRES_DOWN, KeyError("name")])) is None


@pytest.mark.parametrize("arguments", [("config",), ("schema",), ("migrate", "show"), ("migrate", "grants", "api")])
def test_whoever_stops_reading_ends_the_command_without_a_word(
    settings: Settings, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    # given: as after `| head`, nobody reads
    reads, writes = os.pipe()
    os.close(reads)

    # when
    with (tmp_path / "errors.txt").open("wb") as errors, Path(os.devnull).open("rb") as nothing:
        streams = {"stdin": nothing.fileno(), "stdout": writes, "stderr": errors.fileno()}
        process = start(*arguments, folder=tmp_path, variables=environment(settings), **streams)
    os.close(writes)

    # then
    assert (process.wait(60), (tmp_path / "errors.txt").read_text()) == (1, "")
