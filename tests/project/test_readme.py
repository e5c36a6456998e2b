"""The README and the pages of docs/, held to what they say: commands, options, settings, links, paths and examples."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import pairwise
from typing import Any

import httpx
import pytest
from graphql import parse, validate

from api.accounts.passwords import hasher
from api.config.settings import Settings
from api.demo.loader import load, pictures_of
from api.error_codes import ErrorCode, MutationErrorCode
from api.schema import schema
from api.stores.stores import Stores
from models import PostgresRepository, User
from tests.support.applications import running
from tests.support.documentation import commands
from tests.support.documentation.pages import DOCS, PAGES, README, ROOT, Page, page
from tests.support.signing_in import client_of


def _named(some_page: Page) -> str:
    return some_page.name


def test_readme_is_short() -> None:
    assert len(README.text.splitlines()) <= 200


def test_every_command_exists() -> None:
    mentioned = [arguments for some_page in PAGES for arguments in some_page.commands()]

    for arguments in mentioned:
        assert commands.usage(arguments)
    assert {arguments[0] for arguments in mentioned} == {
        *(
            "serve",
            "dev",
            "schema",
            "config",
            "demo",
            "explorer",
            "migrate",
            "user",
            "reconcile",
            "documents",
            "errors",
            "search",
            "backup",
            "restore",
        )
    }
    assert {arguments[1] for arguments in mentioned if arguments[0] == "migrate" and arguments[1:]} == {
        *("run", "show", "revert", "generate", "create", "grants", "distribute")
    }


def test_every_module_that_is_run_exists_and_has_its_options() -> None:
    mentioned = [(module, options) for some_page in PAGES for module, options in some_page.modules()]

    assert mentioned
    for module, options in mentioned:
        path = ROOT / module.replace(".", "/")
        source = (path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__main__.py").read_text()
        for option in options:
            # as it stands, or as the parameter that it is made of
            parameter = option.removeprefix("--").replace("-", "_")
            assert option in source or re.search(rf"\b{parameter}: ", source), (module, option)


INSTALL = "python3 -m venv .uv && .uv/bin/pip install -q uv"


def test_the_two_commands_take_any_python() -> None:
    commands = [line for line in README.section("Start").only("sh").splitlines() if not line.startswith("#")]

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
    assert 'tested "$tests --executor=each" "--cov --cov-report=term"' in script
    assert "stock=/usr/bin/python3" in script


def _default_of(setting: str) -> Any:
    return Settings.model_fields[setting.lower()].get_default()


def test_configuration_names_settings_with_their_defaults() -> None:
    rows = re.findall(r"^\| (`.+?) \| (.*?) \| ", page("docs/operating/configuration.md").text, re.MULTILINE)
    given = {
        name.strip("`"): default.strip("`")
        for names, defaults in rows
        for name, default in zip(names.split(", "), defaults.split(", "), strict=True)
    }

    assert given
    for name, default in given.items():
        value = _default_of(name)
        assert default == ("" if value is None else str(value).lower() if isinstance(value, bool) else str(value)), name


def test_every_variable_is_a_setting() -> None:
    compose = (ROOT / "docker-compose.yml").read_text("utf-8")
    of_the_suite = {"FUZZ_EXAMPLES"}
    codes = {*ErrorCode.__members__, *MutationErrorCode.__members__}
    settings = {name.upper() for name in Settings.model_fields}

    for some_page in PAGES:
        every = {name for line in some_page.code_lines for name in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", line)}
        of_opentelemetry = {name for name in every if name.startswith("OTEL_")}
        unknown = every - settings - codes - of_the_suite - of_opentelemetry
        assert {name for name in unknown if not re.search(rf"\$\{{{name}\b", compose)} == set(), some_page.name


UNITS = {"": 1, "s": 1, "KiB": 1024, "MiB": 1024 * 1024}
AMOUNT = r"([\d.,]*\d)(?: (KiB|MiB|s))?"


def test_limits_and_values_in_the_text_are_the_defaults() -> None:
    said = [found for some_page in PAGES for found in re.findall(rf"`([A-Z_]+)` \({AMOUNT}\)", some_page.prose)]
    for names, values in re.findall(r"^\| (`[A-Z].+?) \| (.+?) \| ", page("docs/using/limits.md").text, re.MULTILINE):
        amounts = re.findall(AMOUNT, re.sub(r", [\d.]+ in production", "", values))
        said += [(name.strip("`"), *amount) for name, amount in zip(names.split(", "), amounts, strict=True)]

    assert len(said) > 25
    for name, number, unit in said:
        assert float(number.replace(",", "")) * UNITS[unit] == _default_of(name), name


def test_links_and_paths_lead_somewhere() -> None:
    for some_page in PAGES:
        for link in some_page.links:
            target, _, anchor = link.partition("#")
            path = (ROOT / some_page.name).parent / target if target else ROOT / some_page.name
            assert path.exists(), (some_page.name, link)
            if anchor:
                assert anchor in Page(target, path.read_text("utf-8")).anchors, (some_page.name, link)

    folders = "|".join((*("api", "models", "documents", "migrations", "deploy", "tests", "docs"), r"\.ci"))
    paths = {path for some_page in PAGES for line in some_page.code_lines for path in _paths(line, folders)}
    assert len(paths) > 20
    for name in paths:
        assert list(ROOT.glob(name)), name


def _paths(code: str, folders: str) -> list[str]:
    """The paths of this repository that a piece of code names; what stands for any name, as in `<domain>`, is a `*`."""
    return re.findall(rf"(?<![\w/.-])(?:{folders})/[\w./*]*", re.sub(r"<\w+>", "*", code))


def test_every_page_is_in_an_index() -> None:
    decisions = page("docs/decisions/README.md")
    in_index = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in page("docs/README.md").links}
    in_decisions = {(ROOT / "docs/decisions" / link).resolve() for link in decisions.links}

    for some_page in DOCS:
        path = (ROOT / some_page.name).resolve()
        assert path in in_index | in_decisions or some_page.name == "docs/README.md", some_page.name
        if path in in_decisions:
            date = some_page.text.split("\n\n")[1]
            assert re.fullmatch(r"\d{4}-\d\d-\d\d", date), some_page.name
            assert f"| [{some_page.title}]({path.name}) | {date} |" in decisions.text
            assert re.findall(r"^\*\*(\w+)\.\*\* ", some_page.text, re.MULTILINE) == ["Context", "Choice", "Price"]


def test_every_helper_of_the_tests_is_told_of() -> None:
    told = page("tests/support/README.md").text
    folder = ROOT / "tests/support"
    helpers = [path.relative_to(folder).as_posix() for path in folder.rglob("*.py") if path.name != "__init__.py"]
    source = (ROOT / "tests/fixtures.py").read_text("utf-8")
    fixtures = re.findall(r"^@pytest\.fixture(?!\(.*autouse).*\n(?:async )?def (\w+)", source, re.MULTILINE)

    assert fixtures
    assert [name for name in fixtures if f"`{name}`" not in told and name != "anyio_backend"] == []
    assert set(re.findall(r"`([\w/]+\.py)`", told)) - {"conftest.py", "tests/fixtures.py"} == set(helpers)


@pytest.mark.parametrize("some_page", [each for each in PAGES if each.of("graphql")], ids=_named)
def test_graphql_examples_are_valid(some_page: Page) -> None:
    inline = [span for span in some_page.spans if re.match(r"\{ \w|(query|mutation) ", span)]
    for example in [*some_page.of("graphql"), *inline]:
        assert validate(schema._schema, parse(example)) == [], example


def _answered(some_page: Page) -> list[tuple[str, str, str]]:
    """Examples with the answer that follows: the query, the answer, and the role of who asks."""
    blocks = some_page.blocks
    return [
        (first.text, second.text, "".join(re.findall(r"^<!-- as (\w+) -->$", first.above)))
        for first, second in pairwise(blocks)
        if (first.language, second.language) == ("graphql", "json")
    ]


@pytest.mark.anyio
async def test_examples_are_answered_as_shown(settings: Settings, stores: Stores) -> None:
    pictures = pictures_of(Settings(_env_file=None))
    await load(stores, password="password", hasher=hasher(settings), pictures=pictures)
    users = PostgresRepository(User, stores.reads, stores.sessions)
    examples = [example for some_page in DOCS for example in _answered(some_page)]

    async with running(settings) as (_, client):
        for query, shown, role in examples:
            asking = client
            if role:
                account = await users.find_one(User.email == f"{role}@fashion-wallet.test")
                assert account is not None
                asking = await client_of(client, stores, account)
            answer = await asking.post("/graphql", json={"query": query})

            assert answer.json() == json.loads(shown)
    assert len(examples) >= 5


@pytest.mark.anyio
async def test_first_query_is_answered_as_shown(settings: Settings, stores: Stores) -> None:
    pictures = pictures_of(Settings(_env_file=None))
    await load(stores, password="password", hasher=hasher(settings), pictures=pictures)

    # costs are reported by default, and not to the suite's other tests
    async with running(settings, report_cost=Settings.model_fields["report_cost"].default) as (_, client):
        answer = await client.post("/graphql", json={"query": README.section("A first query").only("graphql")})

    assert answer.json() == json.loads(README.section("A first query").only("json"))


@pytest.mark.anyio
async def test_health_is_as_shown(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/health/database")).json()
    answer["checks"]["postgres"].pop("nodes", None)  # of a cluster

    assert _shape(answer) == _shape(json.loads(page("docs/operating/health.md").only("json")))


@pytest.mark.anyio
async def test_metrics_are_those_in_the_table(settings: Settings, clean_stores: None) -> None:
    rows = re.findall(r"^\| (`.+?) \| (.*?)\| ", page("docs/operating/metrics.md").text, re.MULTILINE)
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

    exec(compile(page("docs/developing/repositories.md").only("python"), "repositories.md", "exec"), names)

    assert await names["rename"](stores) == ["Summer dress"]
