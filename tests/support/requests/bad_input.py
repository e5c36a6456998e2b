"""What the tests of bad input share."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

import httpx

from api.stores.stores import Stores
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user
from tests.support.graphql import TYPES, error_of, page_query

NO_VALID_ID = "This is not a valid id."
NO_VALID_CURSOR = "This is not a valid cursor."
FOREIGN = "The cursor was made in another list, or with another filter or order; start again from the first page."
CODES = {NO_VALID_ID: "BAD_ID", NO_VALID_CURSOR: "BAD_CURSOR", FOREIGN: "BAD_CURSOR"} | {
    f"This is an id of type {actual}, not {wanted}.": "BAD_ID" for actual in TYPES.values() for wanted in TYPES.values()
}
"""Of the messages that have a code of their own."""
NO_ID = UUID("01930000-0000-7000-8000-000000000000")


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


async def refused(client: httpx.AsyncClient, name: str, **variables: Any) -> str:
    """The message with which a page is refused as bad input."""
    code, message = await error_of(client, page_query(name), **variables)
    assert code == CODES.get(message, "BAD_VARIABLES" if message.startswith("Variable ") else "BAD_USER_INPUT")
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
