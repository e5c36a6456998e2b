"""The house: its contracts hold, they notice what they are for, and its page says what they say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from api.fields.domain import Domain, Domains
from api.users.loaders import sources
from tests.support.documentation.pages import ROOT, page

CONTRACTS: Final[list[dict[str, Any]]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"][
    "importlinter"
]["contracts"]
LAYERS: Final[list[str]] = CONTRACTS[0]["layers"]
ROOMS: Final = {name.removeprefix("api.") for layer in LAYERS for name in re.split(r" [|:] ", layer)}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """What `lint-imports` says of a checkout."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder, env={"PYTHONPATH": str(folder), "COLUMNS": "200"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


WRONG: Final = {
    ("api/lists/keyset.py", "from api.fields import loaders"): "api.lists is not allowed to import api.fields",
    ("api/fields/loaders.py", "from api.users import store"): "api.fields is not allowed to import api.users",
    ("api/designs/store.py", "from api.users import policy"): "api.designs is not allowed to import api.users",
    ("api/stores/stores.py", "from migrations import runner"): "api.stores is not allowed to import migrations",
    ("api/http/responses/masking.py", "from api.http import endpoint"): (
        "api.http.responses is not allowed to import api.http.endpoint"
    ),
    ("api/stores/breakers/breaker.py", "from api.stores.postgres import engine"): (
        "api.stores.breakers is not allowed to import api.stores.postgres"
    ),
    ("api/stores/mongodb/client.py", "from api.stores.postgres import connector"): (
        "api.stores.mongodb is not allowed to import api.stores.postgres"
    ),
    ("api/execution/plan.py", "import strawberry"): "api.execution is not allowed to import strawberry",
    ("models/user.py", "from api import ids"): "models is not allowed to import api",
    ("documents/design.py", "import models"): "documents is not allowed to import models",
}
"""Imports that go the other way, each by the module that it is added to, and what is said of it."""


def test_contracts_are_kept() -> None:
    said = lint(ROOT)

    assert said.returncode == 0, said.stdout
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in said.stdout


def test_contracts_notice_imports_that_go_the_other_way(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in ("api", "models", "documents", "migrations"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for module, statement in WRONG:
        with (tmp_path / module).open("a", encoding="utf-8") as file:
            file.write(f"\n{statement}\n")

    said = lint(tmp_path)

    assert said.returncode == 1
    for (module, statement), complaint in WRONG.items():
        assert complaint in said.stdout, (module, statement)
    assert f"Contracts: 0 kept, {len(CONTRACTS)} broken." in said.stdout


def test_every_module_is_in_a_room() -> None:
    there = {path.stem for path in (ROOT / "api").iterdir() if path.suffix in ("", ".py") and path.name[:2] != "__"}

    assert there == ROOMS - {"migrations"}


def test_the_page_has_each_room_in_its_place() -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", page("docs/developing/house.md").text, re.MULTILINE)
    said = [re.findall(r"`(\w+)(?:/|\.py)`", row) for row in rows]
    places = {
        name.removeprefix("api."): index for index, layer in enumerate(LAYERS) for name in re.split(r" [|:] ", layer)
    }

    named = [name for row in said for name in row]
    ground = {"ids", "errors", "log", "config", "error_codes"}
    ground |= {"log_stream", "folding", "bounded_dict", "background", "uuids"}
    assert {*named} | ground == ROOMS - {"migrations"}
    floors = [places[name] for name in named]
    assert floors == sorted(floors)


def test_tests_mirror_the_rooms() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name[0] not in "_."}

    assert folders - ROOMS <= {"support", "benchmarks", "load", "project", "models", "documents", "migrations"}


def test_two_domains_may_not_claim_the_same_name() -> None:
    source = sources["user"]

    with pytest.raises(ValueError, match=r"^two domains have user$"):
        Domains((Domain(loaders={"user": source}), Domain(loaders={"user": source, "avatar": source})))
