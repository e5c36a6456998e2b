"""The hooks before a commit: they are what CI checks in seconds, and they need nothing but this project."""

from __future__ import annotations

import re
import subprocess
from typing import Any, Final

import yaml

from tests.support.documentation import commands
from tests.support.documentation.pages import ROOT

CONFIG: Final[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
HOOKS: Final[dict[str, dict[str, Any]]] = {hook["id"]: hook for repo in CONFIG["repos"] for hook in repo["hooks"]}


def test_every_hook_calls_a_tool_of_the_project() -> None:
    assert [repo["repo"] for repo in CONFIG["repos"]] == ["local"]
    for hook in HOOKS.values():
        assert hook["language"] == "system"
        words = hook["entry"].split()
        assert words[:2] == ["uv", "run"]
        if words[2] == "fashion-wallet":
            assert commands.usage(words[3:])
        else:
            subprocess.run([*words[2:], "--help"], check=True, capture_output=True, cwd=ROOT)


def test_hooks_check_what_ci_checks_in_seconds() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    checks = set(re.findall(r"^uv run ((?!pytest)[\w-]+(?: [a-z]+)?)", script, re.MULTILINE))
    hooks = {" ".join(hook["entry"].split()[2:4]).partition(" --")[0] for hook in HOOKS.values()}

    assert {"ruff check", "ruff format", "mypy", "fashion-wallet schema"} <= checks
    assert checks <= hooks


def test_files_that_hooks_write_are_those_they_watch() -> None:
    written = {hook["entry"].split()[-1]: hook for hook in HOOKS.values() if "--output" in hook["entry"]}

    assert set(written) == {"schema.graphql", ".env.example", "docs/using/errors.md"}
    for name, hook in written.items():
        assert (ROOT / name).exists()
        assert re.search(hook["files"], name)
        assert re.search(hook["files"], "api/schema.py")
