"""GraphiQL's files, for the tests that need them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from api.http import explorer
from tests import CACHE


def explorer_files(factory: pytest.TempPathFactory) -> Path:
    """A new data folder with the files, which npm has brought once and for all: they are checked each time.

    Skips the test where there is no npm, or no registry.
    """
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: the explorer's files can't be brought")
    try:
        kept = explorer.install(CACHE / "graphiql")
    except explorer.ExplorerError as error:
        if "can't reach its registry" in str(error):
            pytest.skip(f"the explorer's files can't be brought: {error}")
        raise
    data_dir = factory.mktemp("explorer")
    shutil.copytree(kept, data_dir / kept.name)
    return data_dir
