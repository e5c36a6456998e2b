"""What production tells of its schema: no introspection, no explorer, no names that a client has not sent."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from graphql import get_introspection_query

from api.config.settings import Settings
from tests.support.applications import running

pytestmark = pytest.mark.anyio

CLOSED = {"introspection": False, "suggestions": False, "explorer": False}
UNKNOWN_FIELD = "Expected value of type 'CatalogItemFilter' not to include unknown field 'nme'"
FILTERED = "query ($f: CatalogItemFilter) { catalogItems(filter: $f) { totalCount } }"
REFUSAL = "GraphQL introspection has been disabled, but the requested query contained the field '{}'."


async def messages(client: httpx.AsyncClient, query: str, **variables: Any) -> list[str]:
    """The messages of the errors, all of them of the document, or of its variables where there are some."""
    code = "BAD_VARIABLES" if variables else "GRAPHQL_VALIDATION_FAILED"
    body = (await client.post("/graphql", json={"query": query, "variables": variables})).json()
    assert {error["extensions"]["code"] for error in body["errors"]} == {code}
    return [error["message"] for error in body["errors"]]


def test_production_is_closed_unless_it_is_opened() -> None:
    secret = "a secret of the tests, with 32 bytes and more"
    production: dict[str, Any] = {
        "environment": "production",
        "database_url": "postgresql://localhost/db",
        "mongodb_uri": "mongodb://somewhere/db",
        "auth_secret": secret,
    }
    closed = Settings(_env_file=None, **production)
    opened = Settings(_env_file=None, **production, introspection=True, suggestions=True, explorer=True)

    assert [closed.introspection, closed.suggestions, closed.explorer] == [False, False, False]
    assert [opened.introspection, opened.suggestions, opened.explorer] == [True, True, True]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        (get_introspection_query(), ["__schema"]),
        ('{ __type(name: "User") { name } }', ["__type"]),
        ("{ a: __schema { types { name } } ...F } fragment F on Query { __type(name: 1) { name } }", ["__schema"]),
    ],
)
async def test_introspection_is_refused_where_it_is_off(
    settings: Settings, clean_stores: None, query: str, fields: list[str]
) -> None:
    async with running(settings, **CLOSED) as (_, client):
        found = await messages(client, query)
    async with running(settings) as (_, client):
        allowed = (await client.post("/graphql", json={"query": query})).json()

    if "__type(name: 1)" in query:  # not valid for another reason: that one is told
        assert found == ["String cannot represent a non string value."]
        assert [error["message"] for error in allowed["errors"]] == found
    else:
        assert found[0] == REFUSAL.format(fields[0])
        assert "errors" not in allowed


async def test_what_only_looks_like_introspection_runs(settings: Settings, clean_stores: None) -> None:
    query = 'query ($a: String = "__schema __type") { catalogItems(filter: {name: {contains: $a}}) { __typename } }'
    async with running(settings, **CLOSED) as (_, client):
        response = await client.post("/graphql", json={"query": query})
    assert response.json() == {"data": {"catalogItems": {"__typename": "CatalogItemConnection"}}}


@pytest.mark.parametrize(
    ("query", "variables", "message"),
    [
        ("{ catalogItem { id } catalogItms { id } }", {}, "Cannot query field 'catalogItms' on type 'Query'."),
        ("{ catalogItems(frst: 1) { totalCount } }", {}, "Unknown argument 'frst' on field 'Query.catalogItems'."),
        ("query ($a: Usr) { viewer { id } }", {}, "Unknown type 'Usr'."),
        ("{ node(id: 1) { email } }", {}, "Cannot query field 'email' on type 'Node'."),
        (
            "{ catalogItems(filter: {nme: {eq: 1}}) { totalCount } }",
            {},
            f"{UNKNOWN_FIELD}.",
        ),
        (
            "{ catalogItems(filter: {type: FABRICK}) { totalCount } }",
            {},
            "The value does not exist in 'CatalogItemType' enum.",
        ),
        (FILTERED, {"f": {"nme": {}}}, f"Variable '$f' has invalid value: {UNKNOWN_FIELD}."),
        (
            FILTERED,
            {"f": {"type": "FABRICK"}},
            "Variable '$f' has invalid value at .type: The value does not exist in 'CatalogItemType' enum.",
        ),
        ("{ viewer }", {}, "Field 'viewer' of type 'User' must have a selection of subfields."),
    ],
)
async def test_names_are_not_suggested_where_that_is_off(
    settings: Settings, clean_stores: None, query: str, variables: dict[str, Any], message: str
) -> None:
    async with running(settings, **CLOSED) as (_, client):
        closed = await messages(client, query, **variables)
    async with running(settings) as (_, client):
        opened = await messages(client, query, **variables)

    assert message in closed
    assert not any("Did you mean" in text for text in closed)
    assert len(opened) == len(closed)
    assert any("Did you mean" in text for text in opened)
