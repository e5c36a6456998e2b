"""Lists are tested as somebody who may see everything; what is left out for others is for `tests/rights`."""

from __future__ import annotations

import httpx
import pytest


@pytest.fixture
def client(admin: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client that may see everything."""
    return admin
