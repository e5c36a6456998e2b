"""The audit suite of npm's graphql-http, against a running server."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from api.http.explorer.npm import NPM_OPTIONS
from tests.support.servers import Server

PACKAGES: Final = ("graphql-http@1.23.1", "graphql@16.11.0")
AUDITS: Final = 61
"""How many that version has."""


@pytest.fixture
def auditor(tmp_path: Path) -> Path:
    """A folder with the audits and the script that runs them."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js with npm is not installed; it runs the audits")
    folder = tmp_path / "audit"
    folder.mkdir()
    (folder / "package.json").write_text("{}")
    installed = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", *NPM_OPTIONS, *PACKAGES],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if installed.returncode:
        pytest.skip(f"npm can't bring the audits: {installed.stderr.strip()[:500]}")
    shutil.copy(Path(__file__).with_name("audit.mjs"), folder)
    return folder


def test_every_audit_is_passed(server: Server, auditor: Path) -> None:
    """A notice is what the specification leaves open: here, that a GET has to say which JSON it wants."""
    run = subprocess.run(
        ["node", "audit.mjs", f"{server.url}/graphql"], cwd=auditor, capture_output=True, text=True, timeout=60
    )

    assert run.returncode == 0, run.stderr
    results: list[dict[str, Any]] = json.loads(run.stdout)
    assert len(results) == AUDITS
    assert [each for each in results if each["status"] in ("error", "warn")] == []
    assert [each["id"] for each in results if each["status"] != "ok"] == ["5A70"]
