"""What resolvers are called with, what stands for them where there is none, and when they are called.

The cases are those of graphql-core's tests/execution/test_resolve.py, test_executor.py, test_parallel.py, test_sync.py
and test_schema.py (MIT licence), in a form of their own.
"""

from __future__ import annotations

import asyncio
from collections import ChainMap
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLDefaultInput,
    GraphQLError,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    parse,
)
from graphql.pyutils import Undefined

from api.execution import Executor
from tests.execution.conftest import Expected, Run

pytestmark = pytest.mark.anyio
Info = GraphQLResolveInfo[Any]


def schema_of(**fields: GraphQLField) -> GraphQLSchema:
    return GraphQLSchema(GraphQLObjectType("Query", fields))


@pytest.mark.parametrize(
    "root",
    [
        {"a": 1},
        SimpleNamespace(a=1),
        ChainMap({}, {"a": 1}),
        {"a": lambda _info: 1},
        SimpleNamespace(a=lambda _info: 1),
        type("Source", (), {"a": property(lambda self: 1)})(),
        type("Source", (), {"a": lambda self, _info: 1})(),
        type("Source", (), {"a": 1}),
    ],
    ids=["dict", "attribute", "chain map", "function", "function attribute", "property", "method", "class"],
)
async def test_default_resolver(run: Run, root: Any) -> None:
    assert await run("type Query { a: Int  b: Int }", "{ a b }", root) == ({"a": 1, "b": None}, [])


async def test_default_resolver_passes_arguments_and_info(run: Run) -> None:
    class Adder:
        number = 700

        def add(self, info: Info, by: int) -> int:
            return self.number + by + int(info.context["more"])

    root, query = Adder(), "{ add(by: 80) }"
    assert await run("type Query { add(by: Int): Int }", query, root, context={"more": 9}) == ({"add": 789}, [])


async def test_default_resolver_of_no_object(run: Run) -> None:
    schema = "type Query { a: Query  b: Int }"
    assert await run(schema, "{ a { b } }", {"a": 5}) == ({"a": {"b": None}}, [])


async def test_what_info_says(run: Run) -> None:
    seen: list[Info] = []

    def note(source: Any, info: Info, **_: Any) -> Any:
        seen.append(info)
        return [{"x": 1}]

    thing = GraphQLObjectType("Thing", lambda: {"things": GraphQLField(GraphQLList(thing), resolve=note)})
    schema = schema_of(things=GraphQLField(GraphQLList(thing), resolve=note))
    query = """query Q ($n: String = "5") { ...F } fragment F on Query { a: things { b: things { __typename } } }"""
    data, errors = await run(schema, query, "root", context="context", variables={"n": "7"})
    assert (data, errors) == ({"a": [{"b": [{"__typename": "Thing"}]}]}, [])
    first, second = seen
    assert (first.path.as_list(), first.path.typename) == (["a"], "Query")
    assert (second.path.as_list(), second.path.typename) == (["a", 0, "b"], "Thing")
    assert (first.parent_type.name, second.parent_type.name) == ("Query", "Thing")
    assert (second.field_name, str(second.return_type)) == ("things", "[Thing]")
    assert [node.alias.value for node in second.field_nodes if node.alias] == ["b"]
    assert (second.schema, second.root_value, second.context) == (schema, "root", "context")
    assert (second.operation.name and second.operation.name.value, list(second.fragments)) == ("Q", ["F"])
    assert dict(second.variable_values.coerced) == {"n": "7"}


async def test_merged_fields_have_all_their_nodes(run: Run) -> None:
    nodes: list[int] = []

    def note(_source: Any, info: Info) -> dict[str, Any]:
        nodes.append(len(info.field_nodes))
        return {}

    thing = GraphQLObjectType("Thing", {"a": GraphQLField(GraphQLInt), "b": GraphQLField(GraphQLInt)})
    schema = schema_of(thing=GraphQLField(thing, resolve=note))
    query = "{ thing { a } ...F thing { b a } } fragment F on Query { thing { b } }"
    data, errors = await run(schema, query)
    assert (list(data["thing"]), errors, nodes) == (["a", "b"], [], [3])


async def test_arguments_that_were_not_given_are_not_passed(run: Run) -> None:
    def say(_source: Any, _info: Info, **arguments: Any) -> str:
        return repr(arguments)

    schema = schema_of(
        say=GraphQLField(
            GraphQLString,
            {name: GraphQLArgument(GraphQLBoolean) for name in "abcd"} | {"e": GraphQLArgument(GraphQLInt)},
            resolve=say,
        )
    )
    query = "query ($b: Boolean, $c: Boolean) { say(a: true, b: $b, c: $c, d: false, e: null) }"
    assert await run(schema, query, variables={"c": None}) == (
        {"say": "{'a': True, 'c': None, 'd': False, 'e': None}"},
        [],
    )


async def test_out_names(run: Run) -> None:
    def say(_source: Any, _info: Info, **arguments: Any) -> str:
        return repr(arguments)

    inner = GraphQLInputObjectType(
        "Inner",
        {
            "inputOne": GraphQLInputField(GraphQLString, out_name="input_one"),
            "inputTwo": GraphQLInputField(GraphQLInt, out_name="two", default=GraphQLDefaultInput(2)),
        },
    )
    schema = schema_of(
        say=GraphQLField(
            GraphQLString,
            {
                "argOne": GraphQLArgument(GraphQLString, out_name="arg_one"),
                "argTwo": GraphQLArgument(inner, out_name="arg_two"),
                "argThree": GraphQLArgument(GraphQLInt, out_name="three", default=GraphQLDefaultInput(3)),
            },
            resolve=say,
        )
    )
    assert await run(schema, '{ say(argOne: "a", argTwo: {inputOne: "b"}) none: say(argThree: 4) }') == (
        {"say": "{'arg_one': 'a', 'arg_two': {'input_one': 'b', 'two': 2}, 'three': 3}", "none": "{'three': 4}"},
        [],
    )


async def test_resolvers_may_change_their_arguments(run: Run) -> None:
    def pop(_source: Any, _info: Info, items: list[int]) -> int:
        return items.pop()

    schema = schema_of(
        pop=GraphQLField(GraphQLInt, {"items": GraphQLArgument(GraphQLList(GraphQLInt))}, resolve=pop),
        again=GraphQLField(GraphQLList(GraphQLString), resolve=lambda *_: ["x", "y"]),
    )
    query = "query ($items: [Int]) { a: pop(items: [1, 2]) b: pop(items: $items) c: pop(items: $items) }"
    data, errors = await run(schema, query, variables={"items": [3, 4]})
    assert (data["a"], data["b"], errors) == (2, 4, [])


async def test_error_of_a_resolver(run: Run) -> None:
    def fail(_source: Any, _info: Info, kind: str) -> Any:
        if kind == "graphql":
            raise GraphQLError("In GraphQL's terms", extensions={"code": "OURS"})
        if kind == "empty":
            raise ValueError
        return KeyError("as a value")

    schema = schema_of(
        fail=GraphQLField(GraphQLString, {"kind": GraphQLArgument(GraphQLString, default_value="")}, resolve=fail)
    )
    assert await run(schema, '{ a: fail b: fail(kind: "graphql") c: fail(kind: "empty") }') == (
        {"a": None, "b": None, "c": None},
        [
            ("'as a value'", ["a"], [(1, 3)]),
            ("In GraphQL's terms", ["b"], [(1, 11)]),
            ("", ["c"], [(1, 36)]),
        ],
    )


async def test_the_same_error_in_many_places(run: Run) -> None:
    error = RuntimeError("Always the same")
    assert await run("type Query { list: [Int] a: Int }", "{ list a }", {"list": [error, 1, error], "a": error}) == (
        {"list": [None, 1, None], "a": None},
        [
            ("Always the same", ["a"], [(1, 8)]),
            ("Always the same", ["list", 0], [(1, 3)]),
            ("Always the same", ["list", 2], [(1, 3)]),
        ],
    )


async def test_error_with_a_place_of_its_own_keeps_it(run: Run) -> None:
    error = GraphQLError("Elsewhere", path=["some", "where"])

    def fail(_source: Any, _info: Info) -> Any:
        raise error

    schema = schema_of(fail=GraphQLField(GraphQLString, resolve=fail))
    data, errors = await run(schema, "{ fail }")
    assert (data, errors[0][0], errors[0][1]) == ({"fail": None}, "Elsewhere", ["some", "where"])


@pytest.mark.parametrize("value", [None, Undefined])
async def test_scalar_that_serialises_to_nothing(run: Run, value: Any) -> None:
    scalar = GraphQLScalarType("Nothing", coerce_output_value=lambda _: value)
    schema = schema_of(a=GraphQLField(scalar, resolve=lambda *_: "x"))
    message = f"Expected `Nothing.coerce_output_value('x')` to return non-nullable value, returned: {value}"
    assert await run(schema, "{ a }") == ({"a": None}, [(message, ["a"], [(1, 3)])])


async def test_order_of_fields_is_that_of_the_document(run: Run) -> None:
    async def later(value: str, turns: int) -> str:
        for _ in range(turns):
            await asyncio.sleep(0)
        return value

    def resolver(name: str) -> Any:
        return lambda *_: name if name in "ad" else later(name, 5 - ord(name) + ord("a"))

    schema = schema_of(**{name: GraphQLField(GraphQLString, resolve=resolver(name)) for name in "abcde"})
    data, errors = await run(schema, "{ c b a e x: d d }")
    assert (list(data.items()), errors) == (
        [("c", "c"), ("b", "b"), ("a", "a"), ("e", "e"), ("x", "d"), ("d", "d")],
        [],
    )


@pytest.mark.parametrize("shape", ["fields", "items", "types"])
async def test_what_is_awaited_is_awaited_together(run: Run, shape: str) -> None:
    """Each of the three waits for all of them: one by one, they would wait for ever."""
    barrier = asyncio.Barrier(3)

    async def meet(*_: Any) -> bool:
        async with asyncio.timeout(10):
            await barrier.wait()
        return True

    thing = GraphQLObjectType(
        "Thing", {"a": GraphQLField(GraphQLInt, resolve=lambda *_: 1)}, is_type_of=meet if shape == "types" else None
    )
    schema = schema_of(
        a=GraphQLField(GraphQLBoolean, resolve=meet),
        b=GraphQLField(GraphQLBoolean, resolve=meet),
        c=GraphQLField(GraphQLBoolean, resolve=meet),
        list=GraphQLField(GraphQLList(GraphQLBoolean), resolve=lambda *_: [meet(), meet(), meet()]),
        things=GraphQLField(GraphQLList(thing), resolve=lambda *_: [{}, {}, {}]),
    )
    query, data = {
        "fields": ("{ a b c }", {"a": True, "b": True, "c": True}),
        "items": ("{ list }", {"list": [True] * 3}),
        "types": ("{ things { a } }", {"things": [{"a": 1}] * 3}),
    }[shape]
    assert await run(schema, query) == (data, [])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("A", ({"a": 1}, [])),
        ("B", ({"b": 2}, [])),
        (None, (None, [("Must provide operation name if query contains multiple operations.", [], [])])),
        ("C", (None, [("Unknown operation named 'C'.", [], [])])),
        ("", (None, [("Unknown operation named ''.", [], [])])),
    ],
)
async def test_operation_names(run: Run, name: str | None, expected: Any) -> None:
    query = "query A { a } query B { b }"
    assert await run("type Query { a: Int  b: Int }", query, {"a": 1, "b": 2}, name=name) == expected


async def test_no_operation(run: Run) -> None:
    expected: Expected = None, [("Must provide an operation.", [], [])]
    assert await run("type Query { a: Int }", "fragment F on Query { a }") == expected
    named: Expected = None, [("Unknown operation named 'A'.", [], [])]
    assert await run("type Query { a: Int }", "{ a }", name="A") == named


async def test_fragments_that_spread_themselves(run: Run) -> None:
    """Not valid, but no reason to go round in circles."""
    query = "{ a ...F } fragment F on Query { a ...F }"
    assert await run("type Query { a: Int }", query, {"a": 1}) == ({"a": 1}, [])


async def test_type_definitions_beside_the_operation(run: Run) -> None:
    assert await run("type Query { a: Int }", "{ a } type Other { b: Int }", {"a": 1}) == ({"a": 1}, [])


async def test_names_of_types(run: Run) -> None:
    schema = "type Query { q: Query  list: [[Query]] }"
    query = "{ __typename a: __typename q { __typename } list { __typename } }"
    assert await run(schema, query, {"q": {}, "list": [[{}, None], None]}) == (
        {
            "__typename": "Query",
            "a": "Query",
            "q": {"__typename": "Query"},
            "list": [[{"__typename": "Query"}, None], None],
        },
        [],
    )


async def test_introspection(run: Run) -> None:
    query = (
        '{ __schema { queryType { name } } __type(name: "Query") { fields { name type { kind ofType { name } } } } }'
    )
    assert await run("type Query { a: Int! }", query) == (
        {
            "__schema": {"queryType": {"name": "Query"}},
            "__type": {"fields": [{"name": "a", "type": {"kind": "NON_NULL", "ofType": {"name": "Int"}}}]},
        },
        [],
    )


async def test_deep_selections(run: Run) -> None:
    depth = 60
    query = "{ q " * depth + "{ a }" + " }" * depth
    root: dict[str, Any] = {"a": 1, "q": lambda _info: root}
    data, errors = await run("type Query { a: Int  q: Query }", query, root)
    for _ in range(depth):
        data = data["q"]
    assert (data, errors) == ({"a": 1}, [])


@pytest.mark.parametrize("serial", [False, True])
async def test_cancelling_cancels_what_is_under_way(run: Run, serial: bool) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(*_: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    fields = {"hang": GraphQLField(GraphQLInt, resolve=hang), "other": GraphQLField(GraphQLInt)}
    schema = GraphQLSchema(GraphQLObjectType("Query", fields), GraphQLObjectType("Mutation", fields))
    task = asyncio.ensure_future(run(schema, "mutation { hang other }" if serial else "{ hang other }"))
    async with asyncio.timeout(10):
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await cancelled.wait()


async def test_resolver_that_is_cancelled_from_within(run: Run) -> None:
    """A cancellation is no error of a field: it ends the operation."""

    async def give_up(*_: Any) -> None:
        raise asyncio.CancelledError

    schema = schema_of(a=GraphQLField(GraphQLInt, resolve=give_up))
    with pytest.raises(asyncio.CancelledError):
        await run(schema, "{ a }")


async def test_what_is_left_to_graphql_core_is_counted() -> None:
    async def source(*_: Any) -> Any:
        yield 1

    field = GraphQLField(GraphQLNonNull(GraphQLInt), resolve=lambda *_: 1, subscribe=source)
    schema = GraphQLSchema(GraphQLObjectType("Query", {"a": field}), subscription=GraphQLObjectType("S", {"a": field}))
    executor = Executor(schema)
    assert (await executor.execute(parse("{ a }"))).data == {"a": 1}
    assert dict(executor.fallbacks) == {}
    assert (await executor.execute(parse("subscription { a }"))).data == {"a": 1}
    assert (await executor.execute(parse("query @experimental_disableErrorPropagation { a }"))).data == {"a": 1}
    assert dict(executor.fallbacks) == {"no error propagation": 1}


async def test_plans_are_kept_for_documents_not_for_their_text() -> None:
    """The same text for another schema, or parsed again, is planned again; a document that is gone is forgotten."""
    executor = Executor(schema_of(a=GraphQLField(GraphQLInt, resolve=lambda *_: 1)), max_plans=2)
    for _ in range(5):
        assert (await executor.execute(parse("{ a }"))).data == {"a": 1}
        assert (await executor.execute(parse("{ b: a }"))).data == {"b": 1}
    assert len(executor._plans) == 2


async def test_one_awaitable_in_many_places(run: Run) -> None:
    """As a loader gives it to those who ask for the same key: a future or a task may be awaited again and again."""

    async def answer(value: Any) -> Any:
        await asyncio.sleep(0)
        if isinstance(value, Exception):
            raise value
        return value

    tasks: dict[str, asyncio.Future[Any]] = {}

    def load(_source: Any, _info: Info, key: str) -> Any:
        if key not in tasks:
            tasks[key] = asyncio.ensure_future(answer(RuntimeError("Bad") if key == "bad" else {"key": key}))
        return tasks[key]

    key = {"key": GraphQLArgument(GraphQLString)}
    thing = GraphQLObjectType(
        "Thing", lambda: {"key": GraphQLField(GraphQLString), "load": GraphQLField(thing, key, resolve=load)}
    )
    schema = schema_of(
        load=GraphQLField(thing, key, resolve=load),
        loads=GraphQLField(GraphQLList(thing), resolve=lambda *_: [load(None, None, "b")] * 3),  # type: ignore[arg-type]
    )
    query = """{ a: load(key: "a") { key load(key: "b") { key } }  b: load(key: "a") { load(key: "a") { key } }
                 c: load(key: "bad") { key }  d: load(key: "bad") { key }  loads { key load(key: "a") { key } } }"""
    b = {"key": "b", "load": {"key": "a"}}
    assert await run(schema, query) == (
        {
            "a": {"key": "a", "load": {"key": "b"}},
            "b": {"load": {"key": "a"}},
            "c": None,
            "d": None,
            "loads": [b, b, b],
        },
        [("Bad", ["c"], [(2, 18)]), ("Bad", ["d"], [(2, 47)])],
    )


@pytest.mark.parametrize("error", [StopIteration("It stops"), GeneratorExit, KeyError()])
async def test_odd_exceptions(run: Run, error: Any) -> None:
    def fail(*_: Any) -> Any:
        raise error

    schema = schema_of(a=GraphQLField(GraphQLInt, resolve=fail), b=GraphQLField(GraphQLInt, resolve=lambda *_: 1))
    if error is GeneratorExit:  # no Exception: none of ours to report
        with pytest.raises(GeneratorExit):
            await run(schema, "{ b a }")
        return
    assert await run(schema, "{ b a }") == ({"b": 1, "a": None}, [(str(error), ["a"], [(1, 5)])])


async def test_operation_that_runs_twice_at_once(run: Run) -> None:
    """Nothing of one run is in another one: variables, paths, errors, contexts."""

    async def say(source: Any, info: Info, text: str) -> Any:
        await asyncio.sleep(0)
        if text == "bad":
            raise RuntimeError(info.context)
        return f"{info.context}: {text}"

    schema = schema_of(say=GraphQLField(GraphQLString, {"text": GraphQLArgument(GraphQLString)}, resolve=say))
    query = "query ($text: String, $skip: Boolean!) { a: say(text: $text) b: say(text: $text) @skip(if: $skip) }"
    texts = ["one", "bad", "two", "bad"]
    responses = await asyncio.gather(
        *(
            run(schema, query, context=index, variables={"text": text, "skip": index > 1})
            for index, text in enumerate(texts)
        )
    )
    assert responses == [
        ({"a": "0: one", "b": "0: one"}, []),
        ({"a": None, "b": None}, [("1", ["a"], [(1, 42)]), ("1", ["b"], [(1, 62)])]),
        ({"a": "2: two"}, []),
        ({"a": None}, [("3", ["a"], [(1, 42)])]),
    ]
