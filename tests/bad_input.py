"""What the tests of bad input share."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

import httpx

from api.stores import Stores
from tests.factories.avatars import create_avatar
from tests.factories.catalog import create_catalog_item
from tests.factories.designs import create_design
from tests.factories.users import create_user
from tests.graphql import error_of, page_query

NO_ID = UUID("01930000-0000-7000-8000-000000000000")


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


async def refused(client: httpx.AsyncClient, name: str, **variables: Any) -> str:
    """The message with which a page is refused as bad input."""
    code, message = await error_of(client, page_query(name), **variables)
    assert code == "BAD_USER_INPUT"
    return message


async def fill(stores: Stores, name: str, count: int = 3) -> None:
    for _ in range(count):
        match name:
            case "users":
                await create_user(stores)
            case "avatars":
                await create_avatar(stores)
            case "catalogItems":
                await create_catalog_item(stores)
            case "designs":
                await create_design(stores)
