"""Plans: how the objects of one type below one field are executed. A plan is made once and run for every request.

The plan of a level is made when the first object gets there, so that a plan is never larger than what was executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    SelectionSetNode,
    TypeNameMetaFieldDef,
    default_field_resolver,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)

from api.execution import resolving
from api.execution.arguments import Arguments
from api.execution.codegen import GENERATED_AT, GENERATED_FROM, Column, Reader, reader_of
from api.execution.completion.abstract import AbstractCompletion
from api.execution.completion.base import Completion, Deliver
from api.execution.completion.leaves import LeafCompletion
from api.execution.completion.lists import ListCompletion
from api.execution.completion.objects import ObjectCompletion
from api.execution.declarations import Batch, Declaration, Declarations, Plain, Substitute
from api.execution.level import Level
from api.execution.paths import ROOT, Paths
from api.execution.sizes import count_of

if TYPE_CHECKING:
    from api.execution.execution import Execution

Collect = Callable[[GraphQLObjectType, Iterable[SelectionSetNode]], Mapping[str, list[FieldNode]]]

PIECE: Final = 2000
"""The number of objects whose leaves are made in one step of the event loop: a few milliseconds."""


class SelectionPlans:
    """The schema, the declarations and the selections that all plans of one operation share."""

    def __init__(self, schema: GraphQLSchema, declarations: Declarations, collect: Collect) -> None:
        self.schema = schema
        self.declarations = declarations
        self.collect = collect


class FieldPlan:
    """One field of a selection: how it is resolved, and how its values are completed."""

    __slots__ = (
        "_plans",
        "_reader",
        "_reads",
        "arguments",
        "completion",
        "constant",
        "declaration",
        "definition",
        "from_source",
        "is_leaf",
        "key",
        "may_await",
        "name",
        "nodes",
        "parent",
        "resolve",
        "selections",
        "shares",
        "substitute",
        "text_weight",
    )

    def __init__(
        self,
        selections: SelectionPlans,
        parent: GraphQLObjectType,
        key: str,
        nodes: list[FieldNode],
        definition: GraphQLField,
    ) -> None:
        self.selections = selections
        self.parent = parent
        self.key = key
        self.nodes = nodes
        self.name = nodes[0].name.value
        self.definition = definition
        self.constant = parent.name if definition is TypeNameMetaFieldDef else None
        self.declaration: Declaration | None = None
        if self.constant is None:
            self.declaration = selections.declarations.field(parent, self.name, definition)
        self.substitute: Substitute | None = getattr(self.declaration, "substitute", None)
        self.may_await = self.declaration is None and self.constant is None
        self.shares = isinstance(self.declaration, Batch)
        self.is_leaf = isinstance(self.declaration, Plain) and is_leaf_type(get_named_type(definition.type))
        self._reader: Reader | None = getattr(self.declaration, "read_all", None)
        self._reads = 0
        self.from_source = selections.declarations.from_source(parent)
        self.resolve = definition.resolve or default_field_resolver
        self.arguments = Arguments(definition, nodes[0], getattr(self.declaration, "prepare", None))
        self.text_weight = selections.declarations.text_weight(parent, self.name)
        self.completion = _completion_of(self, definition.type)
        self._plans: dict[str, ObjectPlan] = {}

    def plan_of(self, type_: GraphQLObjectType) -> ObjectPlan:
        """The plan of the level below, for objects of this type. Raises GraphQLError where a `@skip` or `@include` is
        null."""
        plan = self._plans.get(type_.name)
        if plan is None:
            sets = [node.selection_set for node in self.nodes if node.selection_set is not None]
            plan = self._plans[type_.name] = ObjectPlan(self.selections, type_, sets)
        return plan

    @property
    def coordinate(self) -> str:
        """Where the field is in the schema: `Design.owner`."""
        return f"{self.parent.name}.{self.name}"

    @property
    def reached(self) -> Iterable[ObjectPlan]:
        """The plans of the level below that were made so far, one for each type of object."""
        return self._plans.values()

    def read_all(self, declared: Plain, sources: Sequence[Any]) -> Sequence[Any]:
        """The value of every source. Raises whatever reading one of them raises."""
        reader = self._reader
        if reader is None:
            self._reads += 1
            if declared.expression is None or (self._reads <= GENERATED_FROM and len(sources) < GENERATED_AT):
                return list(map(declared.read, sources))
            reader = self._reader = reader_of(declared.expression)
        return reader(sources)

    def column(self, sources: Sequence[Any]) -> Sequence[Any] | None:
        """The completed values of every source, if the field is a leaf and none of them fails; else None."""
        if not self.is_leaf:
            return None if self.constant is None else [self.constant] * len(sources)
        declared = self.declaration
        assert isinstance(declared, Plain)
        try:
            return self.completion.column(self.read_all(declared, sources))
        except Exception:
            return None  # one of them fails: which, and with which error, is found out one by one

    def values(
        self, execution: Execution, sources: Sequence[Any], paths: Paths, waiting: list[Column]
    ) -> Sequence[Any]:
        """The completed values of every source. If they arrive later, nulls, and a column that is added to
        `waiting`."""
        values = self.column(sources)
        if values is not None:
            self.measure(execution, values, paths.counts)
            return values
        column = Column(self.key)
        resolving.resolve(self, execution, sources, paths, column.deliver)
        if column.values is not None:
            return column.values
        waiting.append(column)
        return [None] * len(sources)

    def run(self, execution: Execution, sources: Sequence[Any], paths: Paths, deliver: Deliver) -> None:
        """Resolve the field for every source, and deliver the completed values, now or later."""
        values = self.column(sources)
        if values is None:
            resolving.resolve(self, execution, sources, paths, deliver)
        else:
            self.measure(execution, values, paths.counts)
            deliver(values)

    def measure(self, execution: Execution, values: Sequence[Any], counts: Sequence[int] | None) -> None:
        """Count a column towards the size of the response. Raises TooLarge."""
        if self.constant is None:
            self.completion.measure(execution, values, counts)


class ObjectPlan:
    """The fields that a selection asks of one object type."""

    def __init__(
        self, selections: SelectionPlans, type_: GraphQLObjectType, selection_sets: Iterable[SelectionSetNode]
    ) -> None:
        self.type = type_
        sets = list(selection_sets)
        self.fields = [
            FieldPlan(selections, type_, key, nodes, definition)
            for key, nodes in selections.collect(type_, sets).items()
            if (definition := selections.schema.get_field(type_, nodes[0].name.value)) is not None
        ]
        self._weight = sum(selections.declarations.weight(type_, field.name) for field in self.fields)
        self._weight += sum(
            selections.declarations.leaves_weight(count) for count in self._counts_of_leaves(selections, sets)
        )
        self._size = 1 + sum(map(_least_size, self.fields))
        """The bytes of an object, not counting its texts and the objects in it."""
        self._level = Level(self.fields)
        self._leaves: Level | None = None

    def run(self, execution: Execution, sources: Sequence[Any], paths: Paths) -> Sequence[dict[str, Any]]:
        """The objects of a level. Fields that have to be waited for are put into them later."""
        counts = paths.counts
        execution.weight += self._weight * len(sources)
        execution.size_budget.take(self._size * count_of(counts, sources))
        if len(sources) > PIECE:
            return self._in_pieces(execution, sources, paths)
        return self._level.objects(execution, sources, paths)

    def _in_pieces(self, execution: Execution, sources: Sequence[Any], paths: Paths) -> Sequence[dict[str, Any]]:
        """The objects of a large level. Their leaves are put into them a piece at a time, and each level below takes a
        step of its own: others have turns between."""
        empty = dict.fromkeys([field.key for field in self.fields])
        objects = [empty.copy() for _ in sources]
        leaves = [field for field in self.fields if field.is_leaf or field.constant is not None]
        if self._leaves is None:
            self._leaves = Level(leaves)
        level = self._leaves

        def piece(start: int) -> None:
            end = min(start + PIECE, len(sources))
            level.objects(execution, sources[start:end], paths.some(range(start, end)), objects[start:end])
            if end < len(sources):
                execution.in_turn(partial(piece, end))

        piece(0)
        loading: list[Callable[[], None]] = []
        for field in self.fields:
            if field not in leaves:
                column = Column(field.key)
                column.objects = objects
                run = partial(field.run, execution, sources, paths, column.deliver)
                if isinstance(field.declaration, Plain):
                    execution.in_turn(run)
                else:
                    loading.append(run)

        def load() -> None:
            for run in loading:
                run()

        if loading:  # in one step, so that what they load goes together
            execution.in_turn(load)
        return objects

    def run_serially(self, execution: Execution, source: Any) -> Iterable[tuple[FieldPlan, dict[str, Any]]]:
        """Run the fields of a root object one by one. The caller waits for each before it asks for the next."""
        execution.weight += self._weight
        made: dict[str, Any] = {}
        for field in self.fields:
            made[field.key] = None
            field.run(execution, [source], ROOT, partial(_put, made, field.key))
            yield field, made

    def _counts_of_leaves(self, selections: SelectionPlans, sets: Sequence[SelectionSetNode]) -> Iterable[int]:
        """How many leaves each selection set has. Their cost is rounded for each set, as the estimate does."""
        for each in sets:
            nodes = selections.collect(self.type, [each]).values()
            yield sum(1 for field in nodes if field[0].selection_set is None)


def _least_size(field: FieldPlan) -> int:
    """The least bytes of a field in an object: its key, quotes, colon and comma, and the shortest value."""
    if field.constant is not None:
        return len(field.key) + len(field.constant) + 6
    return len(field.key) + (5 if field.nodes[0].selection_set is None else 4)


def _completion_of(field: FieldPlan, type_: GraphQLOutputType) -> Completion:
    non_null = is_non_null_type(type_)
    bare: Any = type_.of_type if is_non_null_type(type_) else type_
    if is_list_type(bare):
        return ListCompletion(field, _completion_of(field, bare.of_type), non_null=non_null)
    if is_leaf_type(bare):
        return LeafCompletion(field, bare, non_null=non_null)
    if is_abstract_type(bare):
        return AbstractCompletion(field, bare, non_null=non_null)
    return ObjectCompletion(field, bare, non_null=non_null)


def _put(made: dict[str, Any], key: str, values: Sequence[Any]) -> None:
    (made[key],) = values
