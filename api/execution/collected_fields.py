"""Which fields a selection asks for: fragments are opened, equal response keys merged, `@skip` and `@include` applied.

This follows the specification's CollectFields, and graphql-core's `execution/collect_fields.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    get_directive_values,
    is_abstract_type,
)
from graphql.execution.values import VariableValues

INCREMENTAL: Final = frozenset({"defer", "stream"})
_CONDITIONS: Final = frozenset({GraphQLSkipDirective.name, GraphQLIncludeDirective.name})


def directives_of(document: DocumentNode) -> Iterator[DirectiveNode]:
    """Every directive on an operation, a fragment or anything selected in them."""
    stack: list[SelectionNode | OperationDefinitionNode | FragmentDefinitionNode] = [
        node for node in document.definitions if isinstance(node, (OperationDefinitionNode, FragmentDefinitionNode))
    ]
    while stack:
        node = stack.pop()
        yield from node.directives or ()
        selection_set: SelectionSetNode | None = getattr(node, "selection_set", None)
        if selection_set is not None:
            stack.extend(selection_set.selections)


def condition_variables(directives: Iterable[DirectiveNode]) -> tuple[str, ...]:
    """The variables that decide what is selected, sorted by name."""
    names = {
        argument.value.name.value
        for directive in directives
        if directive.name.value in _CONDITIONS
        for argument in directive.arguments or ()
        if isinstance(argument.value, VariableNode)
    }
    return tuple(sorted(names))


class Selections:
    """The selections of one document, for given values of the variables in its `@skip` and `@include`."""

    def __init__(
        self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode], variables: VariableValues
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._variables = variables

    def fields(
        self, type_: GraphQLObjectType, selection_sets: Iterable[SelectionSetNode]
    ) -> Mapping[str, list[FieldNode]]:
        """The field nodes by response key, in the order of the response, for an object of this type.

        Raises GraphQLError where a condition is null.
        """
        found: dict[str, list[FieldNode]] = {}
        visited: set[str] = set()
        for selection_set in selection_sets:
            self._collect(type_, selection_set, visited, found)
        return found

    def _collect(
        self,
        type_: GraphQLObjectType,
        selection_set: SelectionSetNode,
        visited: set[str],
        found: dict[str, list[FieldNode]],
    ) -> None:
        for node in selection_set.selections:
            if node.directives and not self._included(node):
                continue
            if isinstance(node, FieldNode):
                found.setdefault((node.alias or node.name).value, []).append(node)
                continue
            fragment: InlineFragmentNode | FragmentDefinitionNode | None
            if isinstance(node, FragmentSpreadNode):
                name = node.name.value
                fragment = None if name in visited else self._fragments.get(name)
                if fragment is None or not self._applies(fragment, type_):
                    continue
                visited.add(name)
            else:
                assert isinstance(node, InlineFragmentNode)
                fragment = node
                if not self._applies(fragment, type_):
                    continue
            self._collect(type_, fragment.selection_set, visited, found)

    def _included(self, node: SelectionNode) -> bool:
        skip = get_directive_values(GraphQLSkipDirective, node, self._variables)
        if skip and skip["if"]:
            return False
        include = get_directive_values(GraphQLIncludeDirective, node, self._variables)
        return include is None or bool(include["if"])

    def _applies(self, fragment: InlineFragmentNode | FragmentDefinitionNode, type_: GraphQLObjectType) -> bool:
        condition = fragment.type_condition
        if condition is None or condition.name.value == type_.name:
            return True
        named = self._schema.get_type(condition.name.value)
        return is_abstract_type(named) and self._schema.is_sub_type(named, type_)
