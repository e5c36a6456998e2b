"""Clients of others, which npm brings, in a folder with the script that runs them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from api.http.explorer.npm import NPM_OPTIONS


def node_folder(parent: Path, script: Path, *packages: str) -> Path:
    """A folder with these packages and a copy of the script. Skips the test where npm is absent, or fails."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js with npm is not installed")
    folder = parent / script.stem
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
    shutil.copy(script, folder)
    return folder
