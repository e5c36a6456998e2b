"""The price of an operation: what it may cost at most, as an expression of its variables. It is worked out once a
document.

Where no variable matters, the price is a number. Fields with `@skip` and `@include` count as included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

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

from api.admission.price_expression import (
    ZERO,
    Dearest,
    Filtered,
    Price,
    Size,
    Step,
    Sum,
    Times,
    Variables,
    Weight,
    total,
)
from api.admission.refusals import CAP
from api.fields.costs import SIZES, Costs, is_connection, is_of_every, is_page, is_rows
from api.lists.costs import COUNTS, FACETS, READS, Listing, weight_of_node
from api.lists.pagination import DEFAULT_SIZE, MAX_SIZE


def price_of(operation: OperationDefinitionNode, document: DocumentNode, costs: Costs) -> Price:
    """The price of an operation of a valid document."""
    return _Pricing(document, costs).price(operation)


class _Pricing:
    """Prices a document in one pass: each selection is summed up once for each type of object that it may be for."""

    def __init__(self, document: DocumentNode, costs: Costs) -> None:
        self._costs = costs
        self._schema = costs.schema
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._known: dict[tuple[int, str, bool | None, bool], Sum] = {}
        self._every = False
        """Whether introspection asks for every type of the schema here, so that average sizes can be used."""
        self._listed: dict[int, frozenset[str]] = {}
        self._asked: dict[tuple[int, bool], int] = {}
        self._weights: dict[tuple[str, str], Sum] = {}
        self._steps: list[Step] = []

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
        """What the selections cost for one object.

        Of a connection, `rows` picks the fields that hold the rows of the page (True) or the others (False).
        """
        if is_abstract_type(type_):
            return self._dearest(
                [self._of_object(selections, each, rows).of_object() for each in self._schema.get_possible_types(type_)]
            )
        return self._of_object(selections, type_, rows).of_object()

    def _of_object(self, selections: SelectionSetNode, type_: GraphQLObjectType, rows: bool | None) -> Sum:
        key = (id(selections), type_.name, rows, self._every)
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
                spreads.add(selection.name.value)  # spread again, it adds no field
                fragment = self._fragments[selection.name.value]
                if self._applies(fragment.type_condition.name.value, type_):
                    yield self._of_object(fragment.selection_set, type_, rows)

    def _applies(self, condition: str, type_: GraphQLObjectType) -> bool:
        if condition == type_.name:
            return True
        named = self._schema.get_type(condition)
        return is_abstract_type(named) and self._schema.is_sub_type(named, type_)

    def _field(self, node: FieldNode, parent: GraphQLObjectType) -> Sum:
        """What a field and everything below it cost for one object."""
        name = node.name.value
        every = self._every
        cost = self._costs.of_every(parent.name, name) if every else self._costs.of(parent.name, name)
        field = self._schema.get_field(parent, name)
        named: Any = get_named_type(field.type) if field is not None else None
        if field is None or node.selection_set is None or not is_composite_type(named):
            return Sum(cost.weight + cost.text, leaves=1)
        if is_page(field) and not is_connection(named):
            below = total([Sum(cost.item), self._selected(node.selection_set, named)])
            return total([Sum(cost.weight), self._times(_page_size(node, field), below)])
        if is_page(field) and is_object_type(named):
            rows = self._selected(node.selection_set, named, rows=True)
            others = self._selected(node.selection_set, named, rows=False)
            filtered = self._filtered(node, whole=parent is self._schema.query_type)
            return total([Sum(cost.weight), filtered, others, self._times(_page_size(node, field), rows)])
        self._every = is_of_every(parent.name, name, every=every)
        below = total([Sum(cost.item), self._selected(node.selection_set, named)])
        self._every = every
        if cost.counted is not None:
            return total([Sum(cost.weight), self._times(_list_size(node, cost.counted, cost.size), below)])
        return total([Sum(cost.weight), below.times(cost.size)])

    def _filtered(self, node: FieldNode, *, whole: bool) -> Sum:
        """What a page and its `totalCount` cost beyond their fields."""
        assert node.selection_set is not None
        names = self._names(node.selection_set)
        listing = Listing(
            whole=whole,
            reads=not names.isdisjoint(READS),
            counts=(COUNTS in names) + (FACETS in names),
            facets=self._facets(node.selection_set),
        )
        given = _argument(node, "filter")
        constant, variables = weight_of_node("filter", given) if given is not None else (0, Counter[tuple[str, str]]())
        weight = total([Sum(constant), *(self._weight(*of).times(count) for of, count in variables.items())])
        return self._step(Filtered(listing, weight)) if weight.steps else Sum(min(CAP, listing.surcharge(constant)))

    def _weight(self, variable: str, name: str) -> Sum:
        known = self._weights.get((variable, name))
        if known is None:
            known = self._weights[variable, name] = self._step(Weight(variable, name))
        return known

    def _names(self, selections: SelectionSetNode) -> frozenset[str]:
        """The names of the selected fields, those in fragments included."""
        known = self._listed.get(id(selections))
        if known is None:
            names: set[str] = set()
            for selection in selections.selections:
                if isinstance(selection, FieldNode):
                    names.add(selection.name.value)
                elif isinstance(selection, InlineFragmentNode):
                    names |= self._names(selection.selection_set)
                elif isinstance(selection, FragmentSpreadNode):
                    names |= self._names(self._fragments[selection.name.value].selection_set)
            known = self._listed[id(selections)] = frozenset(names)
        return known

    def _facets(self, selections: SelectionSetNode, *, inside: bool = False) -> int:
        """How many facets are selected of a connection; with `inside`, below its field `facets`."""
        key = (id(selections), inside)
        known = self._asked.get(key)
        if known is None:
            known = 0
            for selection in selections.selections:
                if isinstance(selection, FieldNode):
                    if inside:
                        known += 1
                    elif selection.name.value == FACETS and selection.selection_set is not None:
                        known += self._facets(selection.selection_set, inside=True)
                elif isinstance(selection, InlineFragmentNode):
                    known += self._facets(selection.selection_set, inside=inside)
                elif isinstance(selection, FragmentSpreadNode):
                    known += self._facets(self._fragments[selection.name.value].selection_set, inside=inside)
            known = self._asked[key] = min(CAP, known)
        return known

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

    def _step(self, step: Step) -> Sum:
        self._steps.append(step)
        return Sum(0, ((1, len(self._steps) - 1),))


def _argument(node: FieldNode, name: str) -> ValueNode | None:
    return next((argument.value for argument in node.arguments or () if argument.name.value == name), None)


def _page_size(node: FieldNode, field: GraphQLField) -> Size | int:
    """The longest that a page may get: the greater one of `first` and `last`, or the default."""
    values = [_argument(node, name) for name in SIZES if name in field.args]
    if not any(isinstance(value, VariableNode) for value in values):
        return _size([int(value.value) for value in values if isinstance(value, IntValueNode)])
    literals = [int(value.value) for value in values if isinstance(value, IntValueNode)]
    names = [value.name.value for value in values if isinstance(value, VariableNode)]

    def size(variables: Variables) -> int:
        given = [variables.get(name) for name in names]
        return _size(literals + [number for number in map(_whole, given) if number is not None])

    return size


def _whole(value: Any) -> int | None:
    """The number that GraphQL's Int coerces a value to; None where it refuses it."""
    if type(value) is int:
        return value
    return int(value) if type(value) is float and value.is_integer() else None


def _size(asked: Sequence[int]) -> int:
    return max(0, min(MAX_SIZE, max(asked))) if asked else DEFAULT_SIZE


def _list_size(node: FieldNode, name: str, maximum: int) -> Size | int:
    """The length of the list in an argument. A single value is a list of one."""
    value = _argument(node, name)
    if isinstance(value, VariableNode):
        variable = value.name.value

        def size(variables: Variables) -> int:
            given = variables.get(variable)
            return min(maximum, len(given)) if isinstance(given, list) else 1

        return size
    return min(maximum, len(value.values)) if isinstance(value, ListValueNode) else 1
