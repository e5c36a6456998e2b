"""Abstract types of the awkward schema: interfaces of interfaces and unions, told apart by each way there is.

`Being` and `Pet` leave it to `is_type_of` and `__typename`, `Animal` has a `resolve_type`. A creature is a dict that
says what those shall answer.
"""

from __future__ import annotations

from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLString,
    GraphQLUnionType,
)

from tests.execution.behaviour import Failure, Manner

_VALUES: Final[dict[str, dict[str, Any]]] = {
    "CAT": {"is": "Cat", "name": "Tom", "lives": 9},
    "DOG": {"is": "Dog", "name": "Rex", "barks": True},
    "FISH": {"is": "Fish", "name": None},
    "DOG_BY_NAME": {"is": "Dog", "__typename": "Dog", "name": "Ada", "barks": "yes"},
    "NO_CAT_BY_NAME": {"is": "Fish", "__typename": "Cat", "name": "Wanda"},
    "NAMELESS_CAT": {"is": "Cat", "name": None, "lives": 0},
    "NOBODY": {"is": "Nobody"},
    "NO_OBJECT": {"is": "Pet"},
    "NOT_POSSIBLE": {"is": "Thing"},
    "NO_TYPE": {"is": None},
    "NO_TEXT": {"is": 5},
    "FAILS": {"is": "Failure"},
    "FAILS_BY_NAME": {"is": "Failure", "__typename": "Dog", "name": "Rex"},
}
CREATURES: Final = {kind: {**value, "kind": kind} for kind, value in _VALUES.items()}
"""What `CreatureKind` stands for. `Stone` is in no value: nothing is one."""

KIND: Final = GraphQLEnumType(
    "CreatureKind",
    CREATURES,
    description="Which creature; its internal value is the creature itself.",
)


class Creatures:
    """The types `Being`, `Animal`, `Pet`, `Cat`, `Dog`, `Fish` and `Stone`, made for one schema."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self.being = GraphQLInterfaceType("Being", lambda: {"name": GraphQLField(GraphQLString), **self._family()})
        self.animal = GraphQLInterfaceType(
            "Animal",
            lambda: {"name": GraphQLField(GraphQLString), **self._family()},
            interfaces=[self.being],
            resolve_type=self._resolve_type,
        )
        self.cat = self._object("Cat", {"lives": GraphQLField(GraphQLInt)}, later=False, name=GraphQLString)
        self.dog = self._object("Dog", {"barks": GraphQLField(GraphQLBoolean)}, later=True, name=GraphQLString)
        self.fish = self._object("Fish", {}, later=True, name=GraphQLNonNull(GraphQLString))
        self.stone = GraphQLObjectType(
            "Stone",
            lambda: {"name": GraphQLField(GraphQLString), "weight": GraphQLField(GraphQLInt), **self._family()},
            interfaces=[self.being],
        )
        self.pet = GraphQLUnionType("Pet", [self.cat, self.dog, self.fish])

    @property
    def objects(self) -> list[GraphQLObjectType]:
        """What is reached only through the abstract types."""
        return [self.cat, self.dog, self.fish, self.stone]

    def _family(self) -> dict[str, GraphQLField]:
        arguments = {"kind": GraphQLArgument(KIND), "later": GraphQLArgument(GraphQLBoolean)}
        return {
            "friend": GraphQLField(self.being, arguments, resolve=self._friend),
            "prey": GraphQLField(GraphQLNonNull(self.animal), arguments, resolve=self._friend),
            "friends": GraphQLField(
                GraphQLList(GraphQLNonNull(self.animal)),
                {"kinds": GraphQLArgument(GraphQLList(KIND))},
                resolve=lambda _source, _info, kinds=(): kinds,
            ),
        }

    def _friend(self, source: Any, _info: GraphQLResolveInfo[Any], kind: Any = None, later: bool | None = None) -> Any:
        return self._manner.arrive(lambda: kind, later)

    def _object(self, kind: str, fields: dict[str, GraphQLField], later: bool, name: Any) -> GraphQLObjectType:
        def is_type_of(value: Any, _info: GraphQLResolveInfo[Any]) -> Any:
            def act() -> bool:
                if isinstance(value, dict) and value.get("is") == "Failure":
                    raise Failure(f"It can't be told whether this is a {kind}")
                return isinstance(value, dict) and value.get("is") == kind

            return self._manner.arrive(act, later)

        return GraphQLObjectType(
            kind,
            lambda: {"name": GraphQLField(name), **fields, **self._family()},
            interfaces=[self.being, self.animal],
            is_type_of=is_type_of,
        )

    def _resolve_type(self, value: Any, _info: GraphQLResolveInfo[Any], _type: Any) -> Any:
        def act() -> Any:
            if not isinstance(value, dict):
                raise Failure("This is no creature")
            if value["is"] == "Failure":
                raise Failure("Its type can't be told")
            return value["is"]

        return self._manner.arrive(act, isinstance(value, dict) and value["kind"] in ("DOG", "NOBODY", "FAILS"))
