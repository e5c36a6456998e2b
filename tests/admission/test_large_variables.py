"""Large variables: converted once an operation, within bounds, and in turns that let others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInt,
    GraphQLList,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
)
from graphql.execution.values import VariableValues, get_argument_values, get_variable_values

from api.errors import BadUserInput
from api.execution import Batch, Converted, Declaration, Executor
from api.execution.declarations import NothingDeclared
from api.execution.turns import LARGE, is_large
from api.fields.compiled import StrawberryDeclarations
from api.fields.conversion import Conversion
from api.schema import schema

pytestmark = pytest.mark.anyio

FILTERED: Final = parse(
    "query ($filter: CatalogItemFilter, $other: CatalogItemFilter)"
    " { catalogItems(filter: $filter) { nodes { id } } more: catalogItems(first: 1, filter: $filter) { nodes { id } }"
    " other: catalogItems(filter: $other) { nodes { id } } }"
)
_OPERATION = FILTERED.definitions[0]
assert isinstance(_OPERATION, OperationDefinitionNode)
_LIST: Final = schema._schema.query_type.fields["catalogItems"]  # type: ignore[union-attr]


def _prepared(**variables: Any) -> list[Any]:
    """What each of the fields prepares of its arguments, in one operation."""
    assert isinstance(_OPERATION, OperationDefinitionNode)
    assert schema._schema.query_type is not None
    values = get_variable_values(schema._schema, _OPERATION.variable_definitions or (), variables)
    assert isinstance(values, VariableValues)
    batch = StrawberryDeclarations(schema, schema.costs).field(schema._schema.query_type, "catalogItems", _LIST)
    assert isinstance(batch, Batch)
    assert batch.prepare is not None
    known: Converted = {}
    nodes: Any = _OPERATION.selection_set.selections
    return [batch.prepare(get_argument_values(_LIST, node, values), known) for node in nodes]


def _named(*names: str) -> dict[str, Any]:
    return {"or": [{"name": {"contains": name}} for name in names]}


def test_a_variable_is_converted_once_however_often_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    converted: list[str] = []
    convert = Conversion._object

    def counted(self: Conversion, definition: Any, value: Any) -> Any:
        if "or" in value:
            converted.append(value["or"][0]["name"]["contains"])
        return convert(self, definition, value)

    monkeypatch.setattr(Conversion, "_object", counted)
    first, more, other = _prepared(filter=_named("linen", "wool"), other=_named("silk"))

    assert converted == ["linen", "silk"]
    assert first.condition == more.condition != other.condition
    assert (first.first, more.first) == (None, 1)


def test_a_filter_is_bounded_before_it_is_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conversion, "_object", lambda *given: pytest.fail(str(given)[:100]))
    deep: dict[str, Any] = {}
    for _ in range(9):
        deep = {"not": deep}
    refused = {
        "A filter takes at most 100 values in a list; this one has 101.": _named(*["linen"] * 101),
        "A filter nests at most 8 levels.": deep,
        "A filter is made of at most 400 filters.": {"and": [_named(*["linen"] * 10) for _ in range(60)]},
    }
    for message, given in refused.items():
        with pytest.raises(BadUserInput) as caught:
            _prepared(filter=given)
        assert caught.value.message == message


def test_what_is_just_within_the_bounds_is_taken() -> None:
    deep: dict[str, Any] = {"name": {"equals": "linen"}}
    for _ in range(7):
        deep = {"not": deep}
    within: list[dict[str, Any]] = [
        _named(*["linen"] * 100),
        deep,
        {"and": [{"or": [{"name": {}}] * 4} for _ in range(79)]},
    ]
    for given in within:
        assert len(_prepared(filter=given)) == 3


def test_variables_are_large_from_a_number_of_values() -> None:
    assert not is_large([1, "text" * 1000, None])
    assert not is_large([[1] * LARGE])
    assert is_large([[1] * (LARGE + 1)])
    assert is_large([1, {"in": [{"a": [1] * (LARGE // 2)}, [2] * (LARGE // 2)]}])


class _Batches(NothingDeclared):
    """Every field is a batch that notes when it is prepared."""

    def __init__(self, note: Callable[[], None]) -> None:
        self._note = note

    def field(self, parent: GraphQLObjectType, name: str, field: GraphQLField) -> Declaration | None:
        def prepare(arguments: Any, _known: Converted) -> int:
            self._note()
            return len(arguments["of"])

        return Batch(lambda sources, _info, count: [count] * len(sources), prepare)


async def test_each_field_that_takes_large_variables_has_a_turn_of_its_own() -> None:
    rounds, noted = 0, list[int]()
    loop = asyncio.get_running_loop()

    def count() -> None:
        nonlocal rounds
        rounds += 1
        ticking[0] = loop.call_soon(count)

    ticking = [loop.call_soon(count)]
    argument = {"of": GraphQLArgument(GraphQLList(GraphQLInt))}
    query = GraphQLObjectType("Query", {"count": GraphQLField(GraphQLInt, args=argument)})
    executor = Executor(GraphQLSchema(query), _Batches(lambda: noted.append(rounds)))
    document = parse("query ($of: [Int]) { a: count(of: $of) b: count(of: $of) c: count(of: $of) }")
    try:
        few = await executor.execute(document, variable_values={"of": [1] * LARGE})
        assert len(set(noted)) == 1
        noted.clear()
        many = await asyncio.gather(
            *(executor.execute(document, variable_values={"of": [1] * (LARGE + 1)}) for _ in range(2))
        )
        task = asyncio.ensure_future(executor.execute(document, variable_values={"of": [1] * (LARGE + 1)}))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        after = await executor.execute(document, variable_values={"of": [1] * (LARGE + 1)})
    finally:
        ticking[0].cancel()

    assert few.data == {"a": LARGE, "b": LARGE, "c": LARGE}
    assert [result.data for result in [*many, after]] == [{"a": LARGE + 1, "b": LARGE + 1, "c": LARGE + 1}] * 3
    assert len(noted) == len(set(noted)) == 9


async def test_what_fails_in_a_turn_fails_the_field_alone() -> None:
    def note() -> None:
        raise ValueError("It can't be prepared")

    argument = {"of": GraphQLArgument(GraphQLList(GraphQLInt))}
    query = GraphQLObjectType("Query", {"count": GraphQLField(GraphQLInt, args=argument)})
    executor = Executor(GraphQLSchema(query), _Batches(note))
    result = await executor.execute(
        parse("query ($of: [Int]) { a: count(of: $of) __typename }"), variable_values={"of": [1] * (LARGE + 1)}
    )

    assert result.data == {"a": None, "__typename": "Query"}
    assert [error.message for error in result.errors or ()] == ["It can't be prepared"]
