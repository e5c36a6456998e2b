"""Interfaces and unions: how the type of a value is found out, and what is wrong with it.

The cases are those of graphql-core's tests/execution/test_abstract.py and test_union_interface.py (MIT licence), in a
form of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from graphql import (
    GraphQLBoolean,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
    build_schema,
)

from tests.execution.conftest import Run

pytestmark = pytest.mark.anyio
Info = GraphQLResolveInfo[Any]


class Dog:
    name = "Odie"
    woofs = True


class Cat:
    name = "Garfield"
    meows = False


PETS = [Dog(), Cat()]
QUERY = "{ pets { __typename ... on Dog { name woofs } ... on Cat { name meows } } }"
ANSWER = {
    "pets": [
        {"__typename": "Dog", "name": "Odie", "woofs": True},
        {"__typename": "Cat", "name": "Garfield", "meows": False},
    ]
}


async def eventually(act: Callable[[], Any]) -> Any:
    await asyncio.sleep(0)
    return act()


def answer(act: Callable[[], Any], later: bool) -> Any:
    return eventually(act) if later else act()


def pets(
    kind: str, *, is_type_of: Callable[[type, Any], Any] | None = None, resolve_type: Callable[[Any], Any] | None = None
) -> GraphQLSchema:
    """A schema of pets by an interface or a union."""
    ask: Any = None
    if resolve_type is not None:
        tell = resolve_type
        ask = lambda value, _info, _type: tell(value)  # noqa: E731
    name = GraphQLField(GraphQLString)
    pet: Any = GraphQLInterfaceType("Pet", {"name": name}, resolve_type=ask)

    def of(class_: type, own: str) -> GraphQLObjectType:
        return GraphQLObjectType(
            class_.__name__,
            {"name": name, own: GraphQLField(GraphQLBoolean)},
            interfaces=[pet] if kind == "interface" else [],
            is_type_of=is_type_of and (lambda value, _info: is_type_of(class_, value)),
        )

    types = [of(Dog, "woofs"), of(Cat, "meows")]
    if kind == "union":
        pet = GraphQLUnionType("Pet", types, resolve_type=ask)
    query = GraphQLObjectType("Query", {"pets": GraphQLField(GraphQLList(pet), resolve=lambda *_: PETS)})
    return GraphQLSchema(query, types=types)


both_kinds = pytest.mark.parametrize("kind", ["interface", "union"])
sync_and_async = pytest.mark.parametrize("later", [False, True])


@both_kinds
@sync_and_async
async def test_types_that_know_their_values(run: Run, kind: str, later: bool) -> None:
    schema = pets(kind, is_type_of=lambda class_, value: answer(lambda: isinstance(value, class_), later))
    assert await run(schema, QUERY) == (ANSWER, [])


@both_kinds
@sync_and_async
async def test_abstract_type_that_knows(run: Run, kind: str, later: bool) -> None:
    schema = pets(kind, resolve_type=lambda value: answer(lambda: type(value).__name__, later))
    assert await run(schema, QUERY) == (ANSWER, [])


@both_kinds
@pytest.mark.parametrize("form", ["dict", "object", "inheritance"])
async def test_values_that_name_their_type(run: Run, kind: str, form: str) -> None:
    of_kind = "union Pet = Dog | Cat" if kind == "union" else "interface Pet { name: String }"
    implements = "implements Pet" if kind == "interface" else ""
    schema = f"""
        {of_kind}
        type Dog {implements} {{ name: String  woofs: Boolean }}
        type Cat {implements} {{ name: String  meows: Boolean }}
        type Query {{ pets: [Pet] }}
    """

    class Pet:
        __typename = "Pet"

    class NamedDog(Pet):
        __typename = "Dog"
        name, woofs = "Odie", True

    class NamedCat(Pet):
        __typename = "Cat"
        name, meows = "Garfield", False

    class Tabby(NamedCat):
        pass

    values: dict[str, Any] = {
        "dict": [
            {"__typename": "Dog", "name": "Odie", "woofs": True},
            {"__typename": "Cat", "name": "Garfield", "meows": False},
        ],
        "object": [NamedDog(), NamedCat()],
        "inheritance": [NamedDog(), Tabby()],
    }
    assert await run(schema, QUERY, {"pets": values[form]}) == (ANSWER, [])


@sync_and_async
async def test_type_that_fails_to_know(run: Run, later: bool) -> None:
    def fail() -> bool:
        raise RuntimeError("No idea")

    by_type = pets("interface", is_type_of=lambda class_, value: answer(fail, later))
    by_pet = pets("union", resolve_type=lambda value: answer(fail, later))
    for schema in (by_type, by_pet):
        assert await run(schema, QUERY) == (
            {"pets": [None, None]},
            [("No idea", ["pets", 0], [(1, 3)]), ("No idea", ["pets", 1], [(1, 3)])],
        )


@sync_and_async
async def test_nobody_knows(run: Run, later: bool) -> None:
    schema = pets("interface", is_type_of=lambda class_, value: answer(lambda: class_ is Dog is type(value), later))
    message = (
        "Abstract type 'Pet' must resolve to an Object type at runtime for field 'Query.pets'. Either the 'Pet' type"
        " should provide a 'resolve_type' function or each possible type should provide an 'is_type_of' function."
    )
    assert await run(schema, QUERY) == ({"pets": [ANSWER["pets"][0], None]}, [(message, ["pets", 1], [(1, 3)])])


async def test_type_that_answers_at_once_is_not_kept_waiting(run: Run) -> None:
    """The earlier type's answer, which takes longer, is settled; it counts only where nobody else knows."""

    async def fail() -> bool:
        raise RuntimeError("Too late")

    schema = pets("interface", is_type_of=lambda class_, value: False)
    dog: Any = schema.type_map["Dog"]
    cat: Any = schema.type_map["Cat"]
    dog.is_type_of = lambda _value, _info: fail()
    cat.is_type_of = lambda value, _info: isinstance(value, Cat)
    assert await run(schema, "{ pets { name } }") == (
        {"pets": [None, {"name": "Garfield"}]},
        [("Too late", ["pets", 0], [(1, 3)])],
    )


async def test_type_that_fails_at_once_beside_one_that_takes_longer(run: Run) -> None:
    async def eventually_fail() -> bool:
        raise RuntimeError("Too late")

    def fail(_value: Any, _info: Info) -> bool:
        raise RuntimeError("At once")

    schema = pets("union", is_type_of=lambda class_, value: False)
    dog: Any = schema.type_map["Dog"]
    cat: Any = schema.type_map["Cat"]
    dog.is_type_of = lambda _value, _info: eventually_fail()
    cat.is_type_of = fail
    assert await run(schema, "{ pets { __typename } }") == (
        {"pets": [None, None]},
        [("At once", ["pets", 0], [(1, 3)]), ("At once", ["pets", 1], [(1, 3)])],
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            None,
            "Abstract type 'Pet' must resolve to an Object type at runtime for field 'Query.pet'. Either the 'Pet' type"
            " should provide a 'resolve_type' function or each possible type should provide an 'is_type_of' function.",
        ),
        ("Human", "Abstract type 'Pet' was resolved to a type 'Human' that does not exist inside the schema."),
        ("String", "Abstract type 'Pet' was resolved to a non-object type 'String'."),
        ("Pet", "Abstract type 'Pet' was resolved to a non-object type 'Pet'."),
        ("__Schema", "Runtime Object type '__Schema' is not a possible type for 'Pet'."),
        ("Query", "Runtime Object type 'Query' is not a possible type for 'Pet'."),
        (
            [],
            "Abstract type 'Pet' must resolve to an Object type at runtime for field 'Query.pet' with value"
            " {'given': []}, received '[]', which is not a valid Object type name.",
        ),
    ],
)
@sync_and_async
async def test_type_that_cannot_be(run: Run, given: Any, message: str, later: bool) -> None:
    schema = build_schema(
        "type Query { pet: Pet }  interface Pet { name: String }  type Cat implements Pet { name: String }"
    )
    pet = schema.type_map["Pet"]
    assert isinstance(pet, GraphQLInterfaceType)
    pet.resolve_type = lambda value, _info, _type: answer(lambda: value["given"], later)
    expected = {"pet": None}, [(message, ["pet"], [(1, 3)])]
    assert await run(schema, "{ pet { name } }", {"pet": {"given": given}}) == expected


@sync_and_async
async def test_object_that_is_not_of_its_type(run: Run, later: bool) -> None:
    class Special:
        value = "foo"

        def __repr__(self) -> str:
            return "<Special>"

    special = GraphQLObjectType(
        "Special",
        {"value": GraphQLField(GraphQLString)},
        is_type_of=lambda value, _info: answer(lambda: isinstance(value, Special), later),
    )
    schema = GraphQLSchema(GraphQLObjectType("Query", {"specials": GraphQLField(GraphQLList(special))}))
    assert await run(schema, "{ specials { value } }", {"specials": [Special(), {"value": "bar"}]}) == (
        {"specials": [{"value": "foo"}, None]},
        [("Expected value of type 'Special' but got: {'value': 'bar'}.", ["specials", 1], [(1, 3)])],
    )


FAMILY = """
    interface Being { name: String }
    interface Mammal implements Being { name: String  mother: Mammal  progeny: [Mammal] }
    type Dog implements Being & Mammal { name: String  mother: Mammal  progeny: [Mammal]  barks: Boolean }
    type Cat implements Being & Mammal { name: String  mother: Mammal  progeny: [Mammal]  meows: Boolean }
    type Person implements Being & Mammal {
      name: String  mother: Mammal  progeny: [Mammal]  pets: [Pet]  friends: [Being]
    }
    union Pet = Dog | Cat
    type Query { person: Person }
"""
ODIE = {
    "__typename": "Dog",
    "name": "Odie",
    "barks": True,
    "mother": {"__typename": "Dog", "name": "Odie's mother", "barks": True},
}
GARFIELD = {
    "__typename": "Cat",
    "name": "Garfield",
    "meows": False,
    "mother": {"__typename": "Cat", "name": "Garfield's mother", "meows": False},
}
LIZ = {"__typename": "Person", "name": "Liz"}
JOHN = {"person": {"name": "John", "pets": [GARFIELD, ODIE], "friends": [LIZ, ODIE]}}


async def test_union(run: Run) -> None:
    query = "{ person { pets { __typename ... on Dog { name barks } ... on Cat { name meows } } } }"
    assert await run(FAMILY, query, JOHN) == (
        {
            "person": {
                "pets": [
                    {"__typename": "Cat", "name": "Garfield", "meows": False},
                    {"__typename": "Dog", "name": "Odie", "barks": True},
                ]
            }
        },
        [],
    )


async def test_interface(run: Run) -> None:
    query = """{ person { friends { __typename name ...Mother ... on Dog { barks } } } }
        fragment Mother on Mammal { mother { ... on Dog { name barks } ... on Cat { name meows } } }"""
    assert await run(FAMILY, query, JOHN) == (
        {
            "person": {
                "friends": [
                    {"__typename": "Person", "name": "Liz", "mother": None},
                    {
                        "__typename": "Dog",
                        "name": "Odie",
                        "mother": {"name": "Odie's mother", "barks": True},
                        "barks": True,
                    },
                ]
            }
        },
        [],
    )


async def test_conditions_that_are_abstract(run: Run) -> None:
    query = """{ person { pets { ... on Mammal { mother { ...Barks } } ... on Being { name } } } }
        fragment Barks on Being { name ... on Pet { ... on Dog { barks } } }"""
    assert await run(FAMILY, query, JOHN) == (
        {
            "person": {
                "pets": [
                    {"mother": {"name": "Garfield's mother"}, "name": "Garfield"},
                    {"mother": {"name": "Odie's mother", "barks": True}, "name": "Odie"},
                ]
            }
        },
        [],
    )


async def test_introspection_of_abstract_types(run: Run) -> None:
    query = """{ a: __type(name: "Mammal") { kind name fields { name } interfaces { name } possibleTypes { name } }
                 b: __type(name: "Pet") { kind fields { name } possibleTypes { name } inputFields { name } } }"""
    names = [{"name": "Dog"}, {"name": "Cat"}, {"name": "Person"}]
    assert await run(FAMILY, query) == (
        {
            "a": {
                "kind": "INTERFACE",
                "name": "Mammal",
                "fields": [{"name": "name"}, {"name": "mother"}, {"name": "progeny"}],
                "interfaces": [{"name": "Being"}],
                "possibleTypes": names,
            },
            "b": {"kind": "UNION", "fields": None, "possibleTypes": names[:2], "inputFields": None},
        },
        [],
    )


async def test_resolvers_of_types_are_told_where_they_are(run: Run) -> None:
    seen: list[tuple[str, Any, Any, Any]] = []

    def resolve_type(value: Any, info: Info, _type: Any) -> str:
        seen.append((info.field_name, info.path.as_list(), info.context, info.root_value))
        return "Cat"

    schema = build_schema(FAMILY)
    being: Any = schema.type_map["Being"]
    being.resolve_type = resolve_type
    root = {"person": {"friends": [{"name": "Ada"}, {"name": "Bob"}]}}
    assert await run(schema, "{ person { a: friends { name } } }", root, context="context") == (
        {"person": {"a": [{"name": "Ada"}, {"name": "Bob"}]}},
        [],
    )
    assert seen == [("friends", ["person", "a"], "context", root)] * 2
