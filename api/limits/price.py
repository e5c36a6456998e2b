"""What an operation may cost at most: an expression of its variables, made once a document.

A price is a sum of a number and of multiples of steps. A step is a page whose length a variable decides, or the
dearest of several types; steps are computed one after the other, each once. Where no variable matters, the price is a
number. `@skip` and `@include` are taken as included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_object_type,
)
from graphql.utilities import value_from_ast_untyped

from api.limits.cost import LEAVES, PAGE, Costs, is_page, is_rows
from api.limits.refusals import CAP
from api.pagination import DEFAULT_SIZE, MAX_SIZE

Variables = Mapping[str, Any]
Size = Callable[[Variables], int]
"""The length of a list, from the variables as the client sent them, with the operation's defaults."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A number, and steps with their factors; leaves count once it is known how many an object has."""

    constant: int = 0
    steps: tuple[tuple[int, int], ...] = ()
    """Each is a factor and the number of a step."""
    leaves: int = 0

    def of_object(self) -> Sum:
        """The same, with the leaves of one object in it."""
        return Sum(self.constant + self.leaves // LEAVES, self.steps)

    def times(self, factor: int) -> Sum:
        return Sum(min(CAP, self.constant * factor), tuple((min(CAP, own * factor), step) for own, step in self.steps))

    def value(self, values: Sequence[int]) -> int:
        """With the values of the steps so far."""
        return min(CAP, self.constant + sum(factor * values[step] for factor, step in self.steps))


ZERO: Final = Sum()


def total(sums: Iterable[Sum]) -> Sum:
    """All of them together."""
    constant, leaves, steps = 0, 0, dict[int, int]()
    for each in sums:
        constant = min(CAP, constant + each.constant)
        leaves += each.leaves
        for factor, step in each.steps:
            steps[step] = min(CAP, steps.get(step, 0) + factor)
    return Sum(constant, tuple((factor, step) for step, factor in steps.items()), leaves)


@dataclass(frozen=True, slots=True)
class Times:
    """A step: as many times as the list is long."""

    size: Size
    of: Sum

    def value(self, values: Sequence[int], variables: Variables) -> int:
        return min(CAP, self.size(variables) * self.of.value(values))


@dataclass(frozen=True, slots=True)
class Dearest:
    """A step: an object has one type only, which may be the dearest."""

    of: tuple[Sum, ...]

    def value(self, values: Sequence[int], variables: Variables) -> int:
        return max(each.value(values) for each in self.of)


@dataclass(frozen=True, slots=True)
class Price:
    """What an operation may cost at most."""

    sum: Sum
    steps: Sequence[Times | Dearest]
    defaults: Variables

    def of(self, variables: Variables | None) -> int:
        """The price with these variables, which needn't be coerced or even right."""
        if not self.sum.steps:
            return self.sum.constant
        given = {**self.defaults, **(variables or {})}
        values: list[int] = []
        for step in self.steps:
            values.append(step.value(values, given))
        return self.sum.value(values)


def price_of(operation: OperationDefinitionNode, document: DocumentNode, costs: Costs) -> Price:
    """The price of an operation of a valid document."""
    return _Pricing(document, costs).price(operation)


class _Pricing:
    """One pass: each selection is summed up once for each type that it may be made of."""

    def __init__(self, document: DocumentNode, costs: Costs) -> None:
        self._costs = costs
        self._schema = costs.schema
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._known: dict[tuple[int, str, bool | None], Sum] = {}
        self._steps: list[Times | Dearest] = []

    def price(self, operation: OperationDefinitionNode) -> Price:
        root = self._schema.get_root_type(operation.operation)
        assert root is not None
        defaults = {
            definition.variable.name.value: value_from_ast_untyped(definition.default_value)
            for definition in operation.variable_definitions or ()
            if definition.default_value is not None
        }
        return Price(self._selected(operation.selection_set, root), self._steps, defaults)

    def _selected(self, selections: SelectionSetNode, type_: Any, *, rows: bool | None = None) -> Sum:
        """What the selections cost for one object; `rows` asks for those of a connection that hold its page (True),
        or for the others (False)."""
        if is_abstract_type(type_):
            return self._dearest(
                [self._of_object(selections, each, rows).of_object() for each in self._schema.get_possible_types(type_)]
            )
        return self._of_object(selections, type_, rows).of_object()

    def _of_object(self, selections: SelectionSetNode, type_: GraphQLObjectType, rows: bool | None) -> Sum:
        key = (id(selections), type_.name, rows)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = total(self._parts(selections, type_, rows))
        return known

    def _parts(self, selections: SelectionSetNode, type_: GraphQLObjectType, rows: bool | None) -> Iterable[Sum]:
        spreads: set[str] = set()
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                if rows is None or rows == is_rows(type_.name, selection.name.value):
                    yield self._field(selection, type_)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                if condition is None or self._applies(condition.name.value, type_):
                    yield self._of_object(selection.selection_set, type_, rows)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spreads:
                spreads.add(selection.name.value)  # once more, it is the same fields
                fragment = self._fragments[selection.name.value]
                if self._applies(fragment.type_condition.name.value, type_):
                    yield self._of_object(fragment.selection_set, type_, rows)

    def _applies(self, condition: str, type_: GraphQLObjectType) -> bool:
        if condition == type_.name:
            return True
        named = self._schema.get_type(condition)
        return is_abstract_type(named) and self._schema.is_sub_type(named, type_)

    def _field(self, node: FieldNode, parent: GraphQLObjectType) -> Sum:
        """What a field costs for one object, with all that is below it."""
        name = node.name.value
        cost = self._costs.of(parent.name, name)
        field = self._schema.get_field(parent, name)
        named: Any = get_named_type(field.type) if field is not None else None
        if field is None or node.selection_set is None or not is_composite_type(named):
            return Sum(cost.weight + cost.text, leaves=1)
        if is_page(field) and is_object_type(named):
            rows = self._selected(node.selection_set, named, rows=True)
            others = self._selected(node.selection_set, named, rows=False)
            return total([Sum(cost.weight), others, self._times(_page_size(node, field), rows)])
        below = total([Sum(cost.item), self._selected(node.selection_set, named)])
        if cost.counted is not None:
            return total([Sum(cost.weight), self._times(_list_size(node, cost.counted, cost.size), below)])
        return total([Sum(cost.weight), below.times(cost.size)])

    def _times(self, size: Size | int, of: Sum) -> Sum:
        if isinstance(size, int):
            return of.times(size)
        if of == ZERO:
            return ZERO
        return self._step(Times(size, of))

    def _dearest(self, sums: list[Sum]) -> Sum:
        if not any(each.steps for each in sums):
            return Sum(max((each.constant for each in sums), default=0))
        return self._step(Dearest(tuple(sums)))

    def _step(self, step: Times | Dearest) -> Sum:
        self._steps.append(step)
        return Sum(0, ((1, len(self._steps) - 1),))


def _argument(node: FieldNode, name: str) -> ValueNode | None:
    return next((argument.value for argument in node.arguments or () if argument.name.value == name), None)


def _page_size(node: FieldNode, field: GraphQLField) -> Size | int:
    """How long a page may get: by `first` or `last`, whichever is greater, or as long as a page is by default."""
    values = [_argument(node, name) for name in PAGE if name in field.args]
    if not any(isinstance(value, VariableNode) for value in values):
        return _size([int(value.value) for value in values if isinstance(value, IntValueNode)])
    literals = [int(value.value) for value in values if isinstance(value, IntValueNode)]
    names = [value.name.value for value in values if isinstance(value, VariableNode)]

    def size(variables: Variables) -> int:
        given = [variables.get(name) for name in names]
        return _size(literals + [number for number in map(_whole, given) if number is not None])

    return size


def _whole(value: Any) -> int | None:
    """The number that GraphQL's Int makes of a value, None where it makes none."""
    if type(value) is int:
        return value
    return int(value) if type(value) is float and value.is_integer() else None


def _size(asked: Sequence[int]) -> int:
    return max(0, min(MAX_SIZE, max(asked))) if asked else DEFAULT_SIZE


def _list_size(node: FieldNode, name: str, maximum: int) -> Size | int:
    """As long as the list in an argument; a single value is a list of one."""
    value = _argument(node, name)
    if isinstance(value, VariableNode):
        variable = value.name.value

        def size(variables: Variables) -> int:
            given = variables.get(variable)
            return min(maximum, len(given)) if isinstance(given, list) else 1

        return size
    return min(maximum, len(value.values)) if isinstance(value, ListValueNode) else 1
