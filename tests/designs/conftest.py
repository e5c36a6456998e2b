"""Somebody whose designs they are."""

from __future__ import annotations

import httpx
import pytest

from api.stores.stores import Stores
from models import User
from tests.support.signing_in import signed_in


@pytest.fixture
async def account(client: httpx.AsyncClient, stores: Stores) -> tuple[httpx.AsyncClient, User]:
    """The account that the designs belong to, and a client that is signed in to it."""
    return await signed_in(client, stores)


@pytest.fixture
def ada(account: tuple[httpx.AsyncClient, User]) -> httpx.AsyncClient:
    """The client of that account."""
    return account[0]
