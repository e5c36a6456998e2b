"""GraphiQL's files, for the tests that need them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from api.http import explorer


def explorer_files(factory: pytest.TempPathFactory) -> Path:
    """A new data folder into which npm has brought the files. Skips the test where there is no npm, or no registry."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: the explorer's files can't be brought")
    data_dir = factory.mktemp("explorer")
    try:
        explorer.install(data_dir)
    except explorer.ExplorerError as error:
        if "can't reach its registry" in str(error):
            pytest.skip(f"the explorer's files can't be brought: {error}")
        raise
    return data_dir
