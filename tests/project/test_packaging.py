"""What gets installed: exactly the versions that were tested, and nothing that names a registry."""

from __future__ import annotations

import subprocess
import tomllib
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
OF_OTHER_PYTHONS = {"async-timeout"}
"""What only some Pythons need: the Redis driver this one before 3.11.3."""


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def _installed(requirements: list[str]) -> dict[str, str]:
    """Version by name of everything that these need on this machine, extras included."""
    found: dict[str, str] = {}
    waiting = [(Requirement(text), "") for text in requirements]
    seen = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        found[name] = version(name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting += [(Requirement(text), wanted) for text in distribution(name).requires or ()]
    return found


def test_every_installed_package_is_pinned_to_its_version() -> None:
    project = _pyproject()
    pins = dict(pin.split("==") for pin in project["tool"]["uv"]["constraint-dependencies"])

    installed = _installed([*project["project"]["dependencies"], *project["dependency-groups"]["dev"]])

    assert {name: pin for name, pin in pins.items() if name not in OF_OTHER_PYTHONS or name in installed} == installed


def test_build_backend_is_pinned() -> None:
    project = _pyproject()
    pins = {pin.partition("==")[0] for pin in project["tool"]["uv"]["build-constraint-dependencies"]}

    assert set(project["build-system"]["requires"]) <= pins


def test_no_lock_file_is_kept_in_git() -> None:
    # a lock file records the host of the registry that it was made with
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()

    assert not {"uv.lock", "package-lock.json"}.intersection(Path(path).name for path in tracked)
