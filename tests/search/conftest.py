"""Something to find."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.support.graphql import execute

SEARCH = """
    query ($text: String!, $types: [SearchType!], $first: Int, $after: String) {
      search(query: $text, types: $types, first: $first, after: $after) {
        correctedQuery
        totalCount
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        edges { score cursor node { __typename ... on CatalogItem { name } ... on Design { name } } }
      }
    }
"""

Search = Callable[..., Awaitable[list[str]]]


def names(data: dict[str, Any]) -> list[str]:
    """The names of what was found, without what is gone since."""
    return [edge["node"]["name"] for edge in data["search"]["edges"] if edge["node"] is not None]


@pytest.fixture
def search(client: httpx.AsyncClient) -> Search:
    """Searches as anybody, or as the given client: the names of what is found, the best first."""

    async def found(query: str, by: httpx.AsyncClient = client, **variables: Any) -> list[str]:
        return names(await execute(by, SEARCH, text=query, **variables))

    return found
