"""A schema made to be awkward, in plain graphql-core: every wrapper of every type, with every way to go wrong.

`Thing` has each type in each wrapper, its own among them, so that operations go as deep as they like. Fields do what
their arguments say (`behaviour`); `Creatures` are the abstract types; `plain` has sources for the default resolver;
mutations write what they do into the context, a `Diary`, in the order in which they do it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLDefaultInput,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLString,
    get_nullable_type,
    is_list_type,
    is_non_null_type,
)

from tests.execution import arguments, behaviour
from tests.execution.arguments import COLOUR, ODD, RED
from tests.execution.behaviour import Failure, Manner, perform
from tests.execution.creatures import CREATURES, KIND, Creatures

_list: Final = GraphQLList
_required: Final = GraphQLNonNull
WRAPPERS: Final[dict[str, Callable[[Any], GraphQLOutputType]]] = {
    "": lambda of: of,
    "Required": lambda of: _required(of),
    "List": lambda of: _list(of),
    "ListOfRequired": lambda of: _list(_required(of)),
    "RequiredList": lambda of: _required(_list(of)),
    "RequiredListOfRequired": lambda of: _required(_list(_required(of))),
    "Grid": lambda of: _list(_list(of)),
    "GridOfRequired": lambda of: _list(_list(_required(of))),
    "RequiredRows": lambda of: _required(_list(_required(_list(of)))),
    "AllRequired": lambda of: _required(_list(_required(_list(_required(of))))),
    "Cube": lambda of: _list(_list(_required(_list(of)))),
}
"""Field names end in what their types are wrapped in: `int`, `intList`, `thingAllRequired`."""


class Number(int):
    """A subclass of a built-in type, as a database driver may return one."""


LEAVES: Final[dict[str, tuple[Any, tuple[Any, Any, Any]]]] = {
    "int": (GraphQLInt, (3, "three", 4.0)),
    "float": (GraphQLFloat, (0.5, "half", Number(2))),
    "string": (GraphQLString, ("a text", {"no": "text"}, 12)),
    "boolean": (GraphQLBoolean, (True, "true", 1)),
    "id": (GraphQLID, ("id:1", 1.5, 17)),
    "odd": (ODD, (1, 2, 7)),
    "colour": (COLOUR, (RED, "RED", 120)),
}
"""A value of each leaf type, one that it can't serialise, and one that it just about can."""


class Diary(list[str]):
    """The context: what mutations did, in order."""


def build(asynchronous: bool) -> GraphQLSchema:
    """The schema; where it is not asynchronous, what would arrive later arrives at once.

    It is made once for each.
    """
    return _build(asynchronous)


@cache
def _build(asynchronous: bool) -> GraphQLSchema:
    manner = Manner(asynchronous)
    creatures = Creatures(manner)
    plain = _plain(manner)
    composites: dict[str, tuple[Any, tuple[Any, Any, Any]]] = {
        "being": (creatures.being, (CREATURES["CAT"], 5, CREATURES["DOG"])),
        "animal": (creatures.animal, (CREATURES["DOG"], 5, CREATURES["FISH"])),
        "pet": (creatures.pet, (CREATURES["FISH"], 5, CREATURES["CAT"])),
    }

    def fields() -> dict[str, GraphQLField]:
        found = {
            name + wrapper: _field(manner, wrap(of), values)
            for name, (of, values) in {**LEAVES, **composites, "thing": (thing, ({}, 5, object))}.items()
            for wrapper, wrap in WRAPPERS.items()
        }
        found["creature"] = _creature(manner, creatures.being)
        found["animal_"] = _creature(manner, creatures.animal)
        found["pet_"] = _creature(manner, _required(creatures.pet))
        found["plain"] = plain
        return {**found, **arguments.argument_fields()}

    def root_fields() -> dict[str, GraphQLField]:
        """What may be null, and one that may not, so that not every error makes everything null."""
        return {
            name: field
            for name, field in fields().items()
            if not is_non_null_type(field.type) or name == "thingRequired"
        }

    thing = GraphQLObjectType("Thing", fields)
    return GraphQLSchema(
        query=GraphQLObjectType("Query", root_fields),
        mutation=GraphQLObjectType("Mutation", partial(_mutations, manner, thing)),
        types=creatures.objects,
    )


def _field(manner: Manner, type_: GraphQLOutputType, values: tuple[Any, Any, Any]) -> GraphQLField:
    """A field that does what its arguments say."""
    depth, inner = 0, get_nullable_type(type_)
    while is_list_type(inner):
        depth, inner = depth + 1, get_nullable_type(inner.of_type)

    if not depth:

        def single(_source: Any, _info: GraphQLResolveInfo[Any], how: str | None, later: bool | None) -> Any:
            return manner.arrive(lambda: perform(how, *values), later)

        return GraphQLField(type_, behaviour.ARGUMENTS, resolve=single)

    def several(
        _source: Any,
        _info: GraphQLResolveInfo[Any],
        how: str | None,
        later: bool | None,
        each: list[str | None] | None,
        arriving_in: str | None,
    ) -> Any:
        def items(level: int) -> Any:
            if level == depth:
                acts: list[Callable[[], Any]] = [partial(perform, one, *values) for one in each or ()]
            else:  # the rows of a grid differ: the second is empty
                acts = [partial(items, level + 1), lambda: []]
            return manner.list_in(arriving_in, acts, rows=depth > 1)

        def act() -> Any:
            return items(1) if how == "VALUE" else perform(how, [], *values[1:])

        return manner.arrive(act, later)

    return GraphQLField(type_, behaviour.LIST_ARGUMENTS, resolve=several)


def _creature(manner: Manner, type_: GraphQLOutputType) -> GraphQLField:
    def resolve(_source: Any, _info: GraphQLResolveInfo[Any], kind: Any, later: bool | None) -> Any:
        return manner.arrive(lambda: kind, later)

    return GraphQLField(
        type_,
        {
            "kind": GraphQLArgument(KIND, default=GraphQLDefaultInput("CAT")),
            "later": GraphQLArgument(GraphQLBoolean, default=GraphQLDefaultInput(False)),
        },
        resolve=resolve,
    )


class Attributes:
    """A source whose fields are attributes, methods, and a property that fails."""

    text = "an attribute"
    number = 5

    def __init__(self, manner: Manner) -> None:
        self._manner = manner

    def method(self, _info: GraphQLResolveInfo[Any], by: int = 2) -> Any:
        return by * 2

    def eventually(self, _info: GraphQLResolveInfo[Any]) -> Any:
        return self._manner.arrive(lambda: "later", True)

    @property
    def failing(self) -> str:
        raise Failure("A property fails")

    @property
    def myself(self) -> Attributes:
        return self


class Sparse(Mapping[str, Any]):
    """A mapping that is no dict, and fails for one of its keys."""

    def __getitem__(self, key: str) -> Any:
        if key == "failing":
            raise Failure("A key fails")
        if key == "text":
            return "from a mapping"
        raise KeyError(key)

    def __iter__(self) -> Any:
        return iter(["text", "failing"])

    def __len__(self) -> int:
        return 2


def _plain(manner: Manner) -> GraphQLField:
    """A field whose type leaves everything to the default resolver."""
    sources: dict[str, Callable[[], Any]] = {
        "DICT": lambda: {
            "text": "from a dict",
            "number": lambda _info: 6,
            "method": lambda _info, by=None: by,
            "eventually": lambda _info: manner.arrive(lambda: "later", True),
            "failing": Failure("A value fails"),
            "myself": {},
        },
        "EMPTY": dict,
        "ATTRIBUTES": lambda: Attributes(manner),
        "MAPPING": Sparse,
        "PROXY": lambda: MappingProxyType({"text": "from a proxy", "number": "no number"}),
        "TYPE": lambda: Attributes,
        "NUMBER": lambda: 5,
        "FALSE": lambda: False,
    }
    type_ = GraphQLObjectType(
        "Plain",
        lambda: {
            "text": GraphQLField(GraphQLString),
            "number": GraphQLField(_required(GraphQLInt)),
            "method": GraphQLField(GraphQLInt, {"by": GraphQLArgument(GraphQLInt)}),
            "eventually": GraphQLField(GraphQLString),
            "failing": GraphQLField(GraphQLString),
            "myself": GraphQLField(type_),
        },
    )
    kind = GraphQLEnumType("SourceKind", {name: name for name in sources})
    return GraphQLField(
        type_,
        {"from": GraphQLArgument(kind, default=GraphQLDefaultInput("DICT"), out_name="source")},
        resolve=lambda _source, _info, source: sources[source or "EMPTY"](),
    )


def _mutations(manner: Manner, thing: GraphQLObjectType) -> dict[str, GraphQLField]:
    """Fields that take their time, to show that they run one after the other."""

    def write(_source: Any, info: GraphQLResolveInfo[Any], text: str, how: str | None, later: bool | None) -> Any:
        diary: Diary = info.context

        def act() -> Any:
            diary.append(f"{text} ends")
            return perform(how, {}, 5, object)

        async def slowly() -> Any:
            for _ in text:
                await asyncio.sleep(0)
            return act()

        diary.append(f"{text} begins")
        return slowly() if later and manner.asynchronous else act()

    given = {"text": GraphQLArgument(_required(GraphQLString)), **behaviour.ARGUMENTS}
    return {
        "write": GraphQLField(thing, given, resolve=write),
        "writeRequired": GraphQLField(_required(thing), given, resolve=write),
        "writes": GraphQLField(
            _list(GraphQLString), resolve=lambda _source, info: [str(line) for line in info.context]
        ),
    }
