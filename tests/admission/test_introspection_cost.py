"""What introspection may cost is never less than what it costs."""

from __future__ import annotations

from typing import Final

import pytest
from graphql import get_introspection_query

from api.admission.document_cache import Document
from api.config.settings import Settings
from api.execution import Executor
from api.fields.compiled import StrawberryDeclarations
from api.schema import schema

pytestmark = pytest.mark.anyio

QUERIES: Final = (
    '{ __type(name: "Query") { fields { name args { name type { name } } } } }',
    '{ __type(name: "Node") { possibleTypes { name } fields { name } } }',
    '{ __type(name: "User") { interfaces { name fields { name } } } }',
    '{ __type(name: "CatalogItemFilter") { inputFields { name type { inputFields { name } } } } }',
    '{ __type(name: "ErrorCode") { enumValues { name } } }',
    "{ __schema { queryType { fields { args { name } } } directives { args { name } } } }",
    "{ __schema { types { interfaces { name } possibleTypes { fields { name } } enumValues { name } } } }",
    "{ __schema { types { fields { args { name } type { fields { name } ofType { enumValues { name } } } } } } }",
    "{ __schema { types { ...T } } } fragment T on __Type { inputFields { name type { inputFields { name } } } }",
    get_introspection_query(),
)


async def test_introspection_never_costs_more() -> None:
    settings = Settings(_env_file=None)
    executor = Executor(schema._schema, StrawberryDeclarations(schema, schema.costs))
    prices: dict[str, int] = {}
    dear = []
    for query in QUERIES:
        document = Document(query, settings)
        operation = document.operation(None)
        assert operation is not None
        assert document.errors(schema._schema) == []
        prices[query] = document.price(operation, schema.costs).of({})
        result = await executor.execute(document.node)
        assert result.extensions is not None
        if not 0 < result.extensions["weight"] <= prices[query]:
            dear.append((query, prices[query], result.extensions["weight"]))

    assert dear == []
    assert prices[get_introspection_query()] < settings.max_cost
