"""Plans: how the objects of one type below one field are executed. A plan is made once and run for every request.

The plan of a level is made when the first object gets there, so that a plan is never larger than what was executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import mul
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
from api.execution.codegen import GENERATED_FROM, Column, LevelCode, Reader, is_inline, reader_of, sizes_of
from api.execution.completion.abstract import AbstractCompletion
from api.execution.completion.base import Completion, Deliver
from api.execution.completion.leaves import LeafCompletion
from api.execution.completion.lists import ListCompletion
from api.execution.completion.objects import ObjectCompletion
from api.execution.declarations import Batch, Declaration, Declarations, Plain, Substitute
from api.execution.paths import ROOT, Paths
from api.execution.sizes import LONG, count_of

if TYPE_CHECKING:
    from api.execution.execution import Execution

Collect = Callable[[GraphQLObjectType, Iterable[SelectionSetNode]], Mapping[str, list[FieldNode]]]

BY_COLUMN: Final = 10
"""The number of objects in a level from which rows are read, completed and counted by column, which costs a part of
what each value does, but something for each column."""


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

    def read_all(self, declared: Plain, sources: Sequence[Any]) -> Sequence[Any]:
        """The value of every source. Raises whatever reading one of them raises."""
        reader = self._reader
        if reader is None:
            self._reads += 1
            if declared.expression is None or self._reads <= GENERATED_FROM:
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

    def of_columns(self, columns: Mapping[str, Sequence[Any]], count: int) -> Sequence[Any] | None:
        """The same as `column` of a field that generated code completes, where all `count` sources have been read."""
        if self.constant is not None:
            return [self.constant] * count
        assert isinstance(self.declaration, Plain)
        assert self.declaration.column is not None
        try:
            return self.completion.column(columns[self.declaration.column])
        except Exception:
            return None

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
        self._inline = [field for field in self.fields if is_inline(field)]
        self._apart = [field for field in self.fields if not is_inline(field)]
        self._weight = sum(selections.declarations.weight(type_, field.name) for field in self.fields)
        self._weight += sum(selections.declarations.leaves_weight(count) for count in self._leaves(selections, sets))
        self._size = 1 + sum(map(_least_size, self.fields))
        """The bytes of an object, not counting its texts and the objects in it."""
        self._texts = [field for field in self._inline if field.constant is None]
        self._heavy = [field for field in self._texts if field.text_weight is not None]
        self._sizes = sizes_of([field for field in self._texts if field.text_weight is None])
        self._code = LevelCode(self.fields, [*self._apart, *self._inline])
        self._read_columns = selections.declarations.columns(type_) if all(map(_has_column, self._inline)) else None

    def run(self, execution: Execution, sources: Sequence[Any], paths: Paths) -> Sequence[dict[str, Any]]:
        """The objects of a level. Fields that have to be waited for are put into them later."""
        counts = paths.counts
        execution.weight += self._weight * len(sources)
        execution.size_budget.take(self._size * count_of(counts, sources))
        waiting: list[Column] = []
        columns = [field.values(execution, sources, paths, waiting) for field in self._apart]
        self._code.reached(len(sources))
        inline = self._by_column(execution, sources, counts)
        objects = self._code.shaped(sources, columns) if inline is None else None
        if objects is None:
            columns += inline or [field.values(execution, sources, paths, waiting) for field in self._inline]
            objects = self._code.joined(columns, len(sources))
        else:
            self._measure_inline(execution, objects, counts)
        for column in waiting:
            column.objects = objects
        return objects

    def run_serially(self, execution: Execution, source: Any) -> Iterable[tuple[FieldPlan, dict[str, Any]]]:
        """Run the fields of a root object one by one. The caller waits for each before it asks for the next."""
        execution.weight += self._weight
        made: dict[str, Any] = {}
        for field in self.fields:
            made[field.key] = None
            field.run(execution, [source], ROOT, partial(_put, made, field.key))
            yield field, made

    def _by_column(
        self, execution: Execution, sources: Sequence[Any], counts: Sequence[int] | None
    ) -> list[Sequence[Any]] | None:
        """The columns of inline fields, where the sources are read by column. None where a value doesn't complete."""
        if self._read_columns is None or len(sources) < BY_COLUMN or not self._inline:
            return None
        read = self._read_columns(sources)
        if read is None:
            return None
        found = []
        for field in self._inline:
            if (values := field.of_columns(read, len(sources))) is None:
                return None
            found.append(values)
        for field, values in zip(self._inline, found, strict=True):
            field.measure(execution, values, counts)
        return found

    def _measure_inline(
        self, execution: Execution, objects: Sequence[dict[str, Any]], counts: Sequence[int] | None
    ) -> None:
        long = self._heavy
        if self._sizes is not None:
            try:
                sizes = self._sizes(objects)
            except TypeError:  # some items of lists are null
                long = self._texts
            else:
                if sum(sizes) < LONG * len(objects):
                    execution.size_budget.take(sum(sizes) if counts is None else sum(map(mul, sizes, counts)))
                else:
                    long = self._texts
        for field in long:
            field.measure(execution, [made[field.key] for made in objects], counts)

    def _leaves(self, selections: SelectionPlans, sets: Sequence[SelectionSetNode]) -> Iterable[int]:
        """How many leaves each selection set has. Their cost is rounded for each set, as the estimate does."""
        for each in sets:
            nodes = selections.collect(self.type, [each]).values()
            yield sum(1 for field in nodes if field[0].selection_set is None)


def _has_column(field: FieldPlan) -> bool:
    return field.constant is not None or (isinstance(field.declaration, Plain) and field.declaration.column is not None)


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
