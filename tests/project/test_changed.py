"""Which tests are run for what changed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import changed
from tests.changed import ROOT, changed_files, chosen


def test_every_room_has_a_folder_of_tests() -> None:
    for room in sorted((ROOT / "api").glob("*/__init__.py")):
        assert changed.tests_of(f"api/{room.parent.name}/anything.py") == f"tests/{room.parent.name}"
    for folder in ("models", "documents", "migrations"):
        assert changed.tests_of(f"{folder}/anything.py") == f"tests/{folder}"


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("api/designs/store.py", "tests/designs"),
        ("api/http/pictures/svg.py", "tests/http"),
        ("api/folding.py", "tests/test_folding.py"),
        ("api/schema.py", "tests/project/test_schema.py"),
        ("api/__init__.py", None),
        ("tests/project/test_changed.py", "tests/project/test_changed.py"),
        ("tests/execution/creatures.py", "tests/execution"),
        ("tests/support/documentation/pages.py", None),
        ("tests/conftest.py", None),
        ("docs/using/http.md", "tests/project"),
        ("pyproject.toml", "tests/project"),
    ],
)
def test_tests_of_a_file(path: str, tests: str | None) -> None:
    assert changed.tests_of(path) == tests


def test_nothing_runs_twice_and_what_has_no_tests_is_said() -> None:
    paths = ["README.md", "tests/project/test_changed.py", "docs/README.md", "tests/conftest.py", "api/folding.py"]

    assert chosen(paths) == (["tests/project", "tests/test_folding.py"], ["tests/conftest.py"])


def test_new_files_and_those_of_commits_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changed, "ROOT", tmp_path)
    git = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "core.hooksPath=/dev/null")

    def commit(name: str) -> None:
        (tmp_path / name).write_text("first")
        subprocess.run((*git, "add", name), cwd=tmp_path, check=True)
        subprocess.run((*git, "commit", "-qm", name), cwd=tmp_path, check=True)

    subprocess.run((*git, "init", "-q"), cwd=tmp_path, check=True)
    commit("old")
    commit("committed")
    (tmp_path / "old").write_text("second")
    (tmp_path / "new").write_text("first")

    assert changed_files("HEAD") == ["old", "new"]
    assert changed_files("HEAD~1") == ["committed", "old", "new"]
