"""The audit suite of npm's graphql-http, against a running server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.requests.npm import node_folder
from tests.support.servers import Server

PACKAGES: Final = ("graphql-http@1.23.1", "graphql@16.11.0")
AUDITS: Final = 61
"""How many that version has."""


@pytest.fixture
def auditor(tmp_path: Path) -> Path:
    """A folder with the audits and the script that runs them."""
    return node_folder(tmp_path, Path(__file__).with_name("audit.mjs"), *PACKAGES)


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
