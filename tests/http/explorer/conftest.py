"""GraphiQL's files, which take a while to come."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.explorer.files import explorer_files


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder into which npm has brought the files. Tests don't change it."""
    return explorer_files(tmp_path_factory)
