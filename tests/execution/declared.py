"""A schema whose fields are declared, with resolvers that do the same: for graphql-core, and to compare with.

Rows are objects of their own class with a value for each leaf type in some wrappers, read by generated code; other rows
are loaded in batches, at once or later. What a row holds is told by its `RowKind`: everything in order, nothing at all,
what the types can't serialise, exceptions, or values that only just fit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLDefaultInput,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
)
from graphql.pyutils import Undefined

from api.execution import Batch, Converted, Declaration, Loading, Plain, TextWeight
from tests.execution.awkward import LEAVES, WRAPPERS, Number
from tests.execution.behaviour import Failure, named

Info = GraphQLResolveInfo[Any]
READ_WRAPPERS: Final = ("", "Required", "List", "ListOfRequired", "RequiredListOfRequired", "Grid", "GridOfRequired")
KINDS: Final = ("GOOD", "EMPTY", "NULLS", "WRONG", "ODD", "ERRORS", "TUPLES", "MIXED", "UNDEFINED")
KIND: Final = GraphQLEnumType("RowKind", named(*KINDS))


class Row(dict[str, Any]):
    """The values of a row by field name. What isn't there is null."""

    def __init__(self, kind: str) -> None:
        super().__init__(_values(kind))
        self.kind = kind


def _values(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (_, (good, wrong, odd)) in LEAVES.items():
        one, several = {
            "GOOD": (good, [good, good]),
            "EMPTY": (Undefined, []),
            "NULLS": (None, [good, None]),
            "WRONG": (wrong, [good, wrong]),
            "ODD": (odd, [odd, good]),
            "ERRORS": (Failure("It is a failure"), [Failure("It is a failure"), good]),
            "TUPLES": ((good,), (good, good)),
            "MIXED": ([good], [True, "text", None, 1.5, Number(7)]),
            "UNDEFINED": (Undefined, [Undefined, good]),
        }[kind]
        for wrapper in READ_WRAPPERS:
            if wrapper in ("", "Required"):
                found[name + wrapper] = one
            elif "Grid" in wrapper:
                found[name + wrapper] = [several, several] if kind != "TUPLES" else (several, ())
            else:
                found[name + wrapper] = several
    if kind == "EMPTY":
        return {name: value for name, value in found.items() if value is not Undefined and "Grid" not in name}
    return found


ROWS: Final = {kind: Row(kind) for kind in KINDS}
"""One row of each kind, so that what is loaded for several parents is the same object."""


def _follow(sources: Sequence[Row], kinds: Sequence[str | None]) -> list[Any]:
    """The row that each source leads to, by turns: for some none, for some a failure."""
    return [_next(source, kinds) for source in sources]


def _next(source: Row, kinds: Sequence[str | None]) -> Any:
    if not kinds:
        return Failure("It leads nowhere") if source.kind == "ERRORS" else None
    kind = kinds[KINDS.index(source.kind) % len(kinds)]
    return None if kind is None else ROWS[kind]


def _prepare(arguments: Mapping[str, Any], _known: Converted) -> tuple[tuple[str | None, ...], bool]:
    if arguments.get("refuse"):
        raise Failure("It can't be prepared")
    return tuple(arguments.get("kinds") or ()), bool(arguments.get("fail"))


def _load(sources: Sequence[Row], _info: Info, prepared: Any) -> list[Any]:
    kinds, fail = prepared
    if fail:
        raise Failure("It can't be loaded")
    return _follow(sources, kinds)


def _load_later(sources: Sequence[Row], info: Info, prepared: Any) -> Loading:
    async def load() -> list[Any]:
        await asyncio.sleep(0)
        return _load(sources, info, prepared)

    return Loading(load(), lambda loaded: loaded)


def _load_lists(sources: Sequence[Row], info: Info, prepared: Any) -> list[Any]:
    return [[row, row] if isinstance(row, Row) else row for row in _load(sources, info, prepared)]


def _load_or_else(sources: Sequence[Row], info: Info, prepared: Any) -> Loading:
    """Where loading fails, the good row stands in."""
    loading = _load_later(sources, info, prepared)
    return Loading(loading.awaitable, loading.values, lambda _error: [ROWS["GOOD"] for _ in sources])


BATCHES: Final[dict[str, Batch]] = {
    "next": Batch(_load, _prepare),
    "nextRequired": Batch(_load, _prepare),
    "nextLater": Batch(_load_later, _prepare),
    "nextOrElse": Batch(_load_or_else, _prepare),
    "nexts": Batch(_load_lists, _prepare),
    "nextThing": Batch(_load_later, _prepare),
}
ARGUMENTS: Final = {
    "kinds": GraphQLArgument(GraphQLList(KIND), default=GraphQLDefaultInput(["GOOD", "ODD", "GOOD"])),
    "fail": GraphQLArgument(GraphQLBoolean),
    "refuse": GraphQLArgument(GraphQLBoolean),
}


def _resolver_of(batch: Batch) -> Callable[..., Any]:
    """A resolver that does for one source what the batch does for all."""

    def resolve(source: Row, info: Info, **arguments: Any) -> Any:
        assert batch.prepare is not None
        loaded = batch.load([source], info, batch.prepare(arguments, {}))
        return _wait(loaded) if isinstance(loaded, Loading) else loaded[0]

    return resolve


async def _wait(loading: Loading) -> Any:
    try:
        values = loading.values(await loading.awaitable)
    except Exception as error:
        if loading.values_on_error is None:
            raise
        instead = loading.values_on_error(error)
        assert instead is not None
        return instead[0]
    return values[0]


def _make() -> GraphQLSchema:
    thing = GraphQLInterfaceType(
        "Thing", lambda: {"int": GraphQLField(GraphQLInt)}, resolve_type=lambda value, _info, _type: "Row"
    )

    def fields() -> dict[str, GraphQLField]:
        found = {
            name + wrapper: GraphQLField(
                WRAPPERS[wrapper](of), resolve=lambda source, _info, key=name + wrapper: source.get(key)
            )
            for name, (of, _) in LEAVES.items()
            for wrapper in READ_WRAPPERS
        }
        types: dict[str, Any] = {
            "nextRequired": GraphQLNonNull(row),
            "nexts": GraphQLList(GraphQLNonNull(row)),
            "nextThing": thing,
        }
        for name, batch in BATCHES.items():
            found[name] = GraphQLField(types.get(name, row), ARGUMENTS, resolve=_resolver_of(batch))
        return found

    row: GraphQLObjectType = GraphQLObjectType("Row", fields, interfaces=[thing])
    kinds = {"kinds": GraphQLArgument(GraphQLList(KIND), default=GraphQLDefaultInput(["GOOD", "GOOD"]))}

    def rows(_source: Any, _info: Info, kinds: list[str | None] | None) -> Any:
        return kinds and [None if kind is None else ROWS[kind] for kind in kinds]

    return GraphQLSchema(
        GraphQLObjectType(
            "Query",
            {
                "rows": GraphQLField(GraphQLList(row), kinds, resolve=rows),
                "rowsRequired": GraphQLField(GraphQLList(GraphQLNonNull(row)), kinds, resolve=rows),
                "things": GraphQLField(GraphQLList(thing), kinds, resolve=rows),
            },
        ),
        types=[row],
    )


class Declared:
    """What is declared: some fields with an expression or `read_all`, which raise where a value is missing."""

    def field(self, parent: GraphQLObjectType, name: str, _field: GraphQLField) -> Declaration | None:
        if parent.name != "Row":
            return None
        if name in BATCHES:
            return BATCHES[name]
        if name[0] == "f":
            return Plain(lambda source: source.get(name), read_all=lambda sources: [source[name] for source in sources])
        return Plain(lambda source: source.get(name), None if name[0] == "b" else f"source[{name!r}]")

    def is_source(self, type_: GraphQLObjectType, class_: type) -> bool:
        return type_.name == "Row" and class_ is Row

    def from_source(self, _type: GraphQLObjectType) -> None:
        return None

    def weight(self, _parent: GraphQLObjectType, _name: str) -> int:
        return 1

    def item_weight(self, _parent: GraphQLObjectType, _name: str) -> int:
        return 0

    def leaves_weight(self, count: int) -> int:
        return count

    def text_weight(self, _parent: GraphQLObjectType, name: str) -> TextWeight | None:
        return TextWeight(10, 1) if name == "name" else None


SCHEMA: Final = _make()
