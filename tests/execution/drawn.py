"""Operations over the awkward schemas that were drawn once: drawing them anew takes ten times as long as comparing.

`python -m tests.execution.drawn` draws them again, which is needed when a schema or how operations are drawn changes.
The search (`fuzz.py`) draws others.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from graphql import print_schema

from tests.execution.fuzz import KINDS
from tests.execution.operations import Operation
from tests.execution.searching import draw

FILE: Final = Path(__file__).with_name("drawn.json")
NUMBER: Final = 70
"""Operations of each kind."""


def operations(kind: str) -> list[Operation]:
    """Those of one of KINDS."""
    return [Operation(**each) for each in _recorded()[kind]]


def fingerprint() -> str:
    """Changes with whatever says what can be drawn."""
    schemas = "".join(print_schema(kind.schema) for kind in KINDS.values())
    how = Path(__file__).with_name("operations.py").read_text()
    return hashlib.sha256((schemas + how).encode()).hexdigest()


def recorded_fingerprint() -> str:
    """That of when they were drawn."""
    found: str = _recorded()["fingerprint"]
    return found


@cache
def _recorded() -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads(FILE.read_text())
    return recorded


def main() -> None:
    """Draw them again."""
    drawn: dict[str, Any] = {"fingerprint": fingerprint()}
    for name, kind in KINDS.items():
        found: list[Operation] = []
        draw(kind.operations(), NUMBER, 0, found.append)
        drawn[name] = [dataclasses.asdict(operation) for operation in found]
    FILE.write_text(json.dumps(drawn, indent=1) + "\n")


if __name__ == "__main__":
    main()
