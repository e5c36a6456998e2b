"""Clients of others, which npm brings, in a folder with the script that runs them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from api.http.explorer.npm import NPM_OPTIONS
from tests import CACHE


def node_folder(parent: Path, script: Path, *packages: str) -> Path:
    """A folder with these packages, which are brought once and kept, and a copy of the script.

    Skips the test where npm is absent, or fails.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js with npm is not installed")
    folder = parent / script.stem
    folder.mkdir()
    (folder / "package.json").write_text("{}")
    (folder / "node_modules").symlink_to(_kept(npm, packages) / "node_modules")
    shutil.copy(script, folder)
    return folder


def _kept(npm: str, packages: tuple[str, ...]) -> Path:
    """The folder that these packages are installed in: their names say which versions.

    It is made aside and moved, so that it is there whole or not at all; of several workers, the first one's is kept.
    """
    said = json.dumps([packages, NPM_OPTIONS]).encode()
    kept = CACHE / f"npm-{hashlib.sha256(said).hexdigest()[:16]}"
    if kept.exists():
        return kept
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name, "whole")
        folder.mkdir()
        (folder / "package.json").write_text("{}")
        installed = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", *NPM_OPTIONS, *packages],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if installed.returncode:
            pytest.skip(f"npm can't bring {', '.join(packages)}: {installed.stderr.strip()[:500]}")
        with contextlib.suppress(OSError):
            folder.rename(kept)
    return kept
