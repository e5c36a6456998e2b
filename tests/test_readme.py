"""The README, held to what it says: commands, variables, links, the first query, health, and the repository example."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.codes import ErrorCode, MutationErrorCode
from api.config import Settings
from api.demo.loader import load, pictures_of
from api.stores import Stores
from tests import commands
from tests.applications import running

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
OPERATORS = {"&&", "||", "|", ";", ">", ">>"}


def _section(title: str) -> str:
    """The text below a heading of the second level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def _block(section: str, language: str) -> str:
    """The only block of that language."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", _section(section), re.MULTILINE | re.DOTALL)
    return str(block)


def _commands() -> Iterator[list[str]]:
    """The arguments of every `fashion-wallet ...`, from blocks and from code in the text."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    text = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    for line in [*"".join(blocks).splitlines(), *re.findall(r"`([^`]+)`", text)]:
        if "fashion-wallet " not in line:
            continue
        words = shlex.split(line, comments=True)
        while "fashion-wallet" in words:
            words = words[words.index("fashion-wallet") + 1 :]
            end = next((index for index, word in enumerate(words) if word in OPERATORS), len(words))
            yield words[:end]


def test_every_command_exists() -> None:
    mentioned = list(_commands())

    for arguments in mentioned:
        assert commands.usage(arguments)
    assert {arguments[0] for arguments in mentioned} == {
        *("serve", "dev", "schema", "config", "demo", "explorer", "migrate", "user", "reconcile", "documents", "errors")
    }
    assert {arguments[1] for arguments in mentioned if arguments[0] == "migrate"} == {
        *("run", "show", "revert", "generate", "create", "grants")
    }


INSTALL = "python3 -m venv .uv && .uv/bin/pip install -q uv"


def test_the_two_commands_take_any_python() -> None:
    commands = [line for line in _block("Start", "sh").splitlines() if not line.startswith("#")]

    assert commands == [f"{INSTALL} && .uv/bin/uv run fashion-wallet dev", f"{INSTALL} && .uv/bin/uv run pytest"]


def test_nothing_is_installed_into_a_pythons_own_folder() -> None:
    # which distributions refuse (PEP 668); the image's own Python is nobody else's
    texts = [ROOT / ".ci" / "run", *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    for path in texts:
        text = path.read_text("utf-8")
        assert len(re.findall(r"\bpip3? install", text)) == text.count(".uv/bin/pip install"), path
        assert not re.search("break.system.packages", text, re.IGNORECASE), path


def test_ci_runs_the_test_command_as_it_stands() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    (found,) = [line for line in script.splitlines() if line.startswith("tests=")]

    said = subprocess.run(
        ["bash", "-c", f'{found}; echo "$tests"; echo "${{tests%% && .uv/bin/uv *}}"'],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert said.stdout.splitlines() == [f"{INSTALL} && .uv/bin/uv run pytest", INSTALL]
    assert 'eval "${tests%% && .uv/bin/uv *}"' in script
    assert 'eval "$tests --cov --cov-report=term"' in script
    assert "stock=/usr/bin/python3" in script


def test_configuration_names_settings_with_their_defaults() -> None:
    rows = re.findall(r"^\| (`.+?) \| (.*?) \| ", _section("Configuration"), re.MULTILINE)
    given = {
        name.strip("`").lower(): default.strip("`")
        for names, defaults in rows
        for name, default in zip(names.split(", "), defaults.split(", "), strict=True)
    }

    assert given
    for name, default in given.items():
        value = Settings.model_fields[name].get_default()
        assert default == ("" if value is None else str(value).lower() if isinstance(value, bool) else str(value)), name
    every = re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", README)
    of_compose = {"PUBLISHED_PORT", "API_MEMORY", "POSTGRES_MEMORY", "MONGODB_MEMORY"}
    codes = {*ErrorCode.__members__, *MutationErrorCode.__members__}
    assert {name.lower() for name in every if name not in of_compose | codes} <= set(Settings.model_fields)


def test_links_and_paths_lead_somewhere() -> None:
    links = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    paths = re.findall(r"`((?:api|models|documents|migrations|deploy|\.ci)/[\w./]*)`", README)

    assert links
    assert paths
    for path in {*links, *paths}:
        assert (ROOT / path).exists(), path


@pytest.mark.anyio
async def test_first_query_is_answered_as_shown(settings: Settings, stores: Stores) -> None:
    await load(stores, password="password", pictures=pictures_of(Settings(_env_file=None)))

    # costs are reported by default, and not to the suite's other tests
    async with running(settings, report_cost=Settings.model_fields["report_cost"].default) as (_, client):
        answer = await client.post("/graphql", json={"query": _block("A first query", "graphql")})

    assert answer.json() == json.loads(_block("A first query", "json"))


@pytest.mark.anyio
async def test_health_is_as_shown(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health/database")

    assert _shape(answer.json()) == _shape(json.loads(_block("Health", "json")))


@pytest.mark.anyio
async def test_metrics_are_those_in_the_table(settings: Settings, clean_stores: None) -> None:
    _, _, table = _section("Health").partition("| Metric (`fashion_wallet_...`) |")
    rows = re.findall(r"^\| (`.+?) \| (.*?)\| ", table, re.MULTILINE)
    shown = {f"fashion_wallet_{name.strip('`')}" for names, _ in rows for name in names.split(", ")}

    async with running(settings, metrics=True) as (_, client):
        text = (await client.get("/metrics")).text

    assert shown == set(re.findall(r"^# TYPE (fashion_wallet_\w+) ", text, re.MULTILINE))


def _shape(value: Any) -> Any:
    """The names and the kinds of values."""
    return {name: _shape(part) for name, part in value.items()} if isinstance(value, dict) else type(value)


@pytest.mark.anyio
async def test_repository_example_runs(stores: Stores) -> None:
    names: dict[str, Any] = {}

    exec(compile(_block("Repositories", "python"), "README.md", "exec"), names)

    assert await names["rename"](stores) == ["Summer dress"]
