"""What a request asks to be executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a document. `query` is empty where only `document_id` or `extensions` say what it is."""

    query: str
    variables: dict[str, Any] | None
    name: str | None
    document_id: str | None = None
    extensions: Mapping[str, Any] = field(default_factory=dict)
