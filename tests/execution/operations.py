"""Operations for a schema, drawn by Hypothesis.

hypothesis-graphql draws selections and literal arguments. What it lacks is put in afterwards: aliases, `__typename`,
fields that merge with different sub-selections, inline and named fragments (with and without type conditions, spread
twice), `@skip` and `@include`, left-out arguments, and variables (given, null, absent, with defaults, of a wrong type).
Whatever is drawn first is the plain choice, so that a failing operation shrinks to what makes it fail.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    ArgumentNode,
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    NamedTypeNode,
    NameNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    get_named_type,
    is_non_null_type,
    parse,
    parse_type,
    print_ast,
    validate,
    value_from_ast_untyped,
)
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis_graphql import mutations, queries

Draw = st.DrawFn
WRONG_VALUES: Final[tuple[Any, ...]] = ("a text", -1, 1.5, True, [], {}, [None], {"unknown": 1})


@dataclass(frozen=True)
class Operation:
    """A valid operation, and the variables that come with it (which may not fit)."""

    source: str
    variables: dict[str, Any] = field(default_factory=dict)

    @property
    def document(self) -> DocumentNode:
        """The operation, parsed."""
        return parse(self.source)


@st.composite
def operations(
    draw: Draw,
    schema: GraphQLSchema,
    scalars: Mapping[str, st.SearchStrategy[Any]],
    *,
    mutation: bool = False,
    fitting: Mapping[tuple[str, str], st.SearchStrategy[ValueNode]] | None = None,
) -> Operation:
    """Valid operations of a schema.

    `scalars` are the values of its custom scalars (and of built-in ones, where any text or number would be of little
    use), `fitting` those that fit an argument, by field and argument, for most of its occurrences.
    """
    document: DocumentNode = draw(
        (mutations if mutation else queries)(schema, custom_scalars=dict(scalars), print_ast=_unprinted)
    )
    writer = _Writer(draw, schema, fitting or {})
    source = print_ast(writer.rewrite(document))
    if validate(schema, parse(source)):  # two rewritings that don't go together
        reject()
    return Operation(source, writer.values)


def _unprinted(document: DocumentNode) -> DocumentNode:
    return document


class _Writer:
    """Rewrites one document; `values` are those of the variables that it put in."""

    def __init__(
        self,
        draw: Draw,
        schema: GraphQLSchema,
        fitting: Mapping[tuple[str, str], st.SearchStrategy[ValueNode]],
    ) -> None:
        self.values: dict[str, Any] = {}
        self._draw = draw
        self._schema = schema
        self._fitting = fitting
        self._variables: list[VariableDefinitionNode] = []
        self._fragments: list[FragmentDefinitionNode] = []
        self._aliases = 0

    def rewrite(self, document: DocumentNode) -> DocumentNode:
        (operation,) = document.definitions
        assert isinstance(operation, OperationDefinitionNode)
        root = self._schema.get_root_type(operation.operation)
        assert root is not None
        selection_set = self._selection_set(operation.selection_set, root)
        operation = dataclasses.replace(
            operation, selection_set=selection_set, variable_definitions=tuple(self._variables)
        )
        return dataclasses.replace(document, definitions=(operation, *self._fragments))

    def _chance(self, percent: int) -> bool:
        """Whether to do something; it shrinks to no."""
        return self._draw(st.integers(0, 99)) >= 100 - percent

    def _selection_set(self, node: SelectionSetNode, parent: GraphQLNamedType) -> SelectionSetNode:
        selections: list[SelectionNode] = []
        for selection in node.selections:
            if isinstance(selection, FieldNode):
                selections += self._field(selection, parent)
            elif isinstance(selection, InlineFragmentNode):
                selections.append(self._inline(selection, parent))
        if self._chance(15):
            alias = self._alias() if self._chance(20) else None
            selections.insert(
                self._draw(st.integers(0, len(selections))), FieldNode(name=_name("__typename"), alias=alias)
            )
        if self._chance(25):
            selections = self._grouped(selections, parent)
        return SelectionSetNode(selections=tuple(selections))

    def _inline(self, node: InlineFragmentNode, parent: GraphQLNamedType) -> InlineFragmentNode:
        on = parent
        if node.type_condition is not None:
            named = self._schema.get_type(node.type_condition.name.value)
            assert named is not None
            on = named
        return dataclasses.replace(
            node, selection_set=self._selection_set(node.selection_set, on), directives=self._directives()
        )

    def _field(self, node: FieldNode, parent: GraphQLNamedType) -> list[SelectionNode]:
        """The field, or two fields of the same response key that select different parts of it."""
        assert isinstance(parent, (GraphQLObjectType, GraphQLInterfaceType))
        definition = parent.fields[node.name.value]
        node = dataclasses.replace(
            node,
            alias=self._alias() if self._chance(15) else node.alias,
            arguments=self._arguments(node.name.value, node.arguments or (), definition.args),
            directives=self._directives(),
        )
        copies: list[SelectionNode] = [node]
        if node.selection_set is None:
            if self._chance(5):
                copies.append(dataclasses.replace(node, directives=self._directives()))
            return copies
        children = self._selection_set(node.selection_set, get_named_type(definition.type))
        copies = [dataclasses.replace(node, selection_set=children)]
        if len(children.selections) > 1 and self._chance(15):
            middle = self._draw(st.integers(1, len(children.selections) - 1))
            overlap = self._draw(st.integers(0, 1))
            parts = children.selections[:middle], children.selections[middle - overlap :]
            copies = [
                dataclasses.replace(
                    node,
                    selection_set=SelectionSetNode(selections=part),
                    directives=node.directives if part is parts[0] else self._directives(),
                )
                for part in parts
            ]
        return copies

    def _grouped(self, selections: list[SelectionNode], parent: GraphQLNamedType) -> list[SelectionNode]:
        """The selections with some in a row inside a fragment."""
        start = self._draw(st.integers(0, len(selections) - 1))
        end = self._draw(st.integers(start + 1, len(selections)))
        group, on = tuple(selections[start:end]), self._condition(parent)
        inner = SelectionSetNode(selections=group)
        fragments: list[SelectionNode]
        if self._chance(50):
            name = _name(f"F{len(self._fragments)}")
            self._fragments.append(
                FragmentDefinitionNode(name=name, type_condition=_named(on), selection_set=inner, directives=())
            )
            fragments = [
                FragmentSpreadNode(name=name, directives=self._directives())
                for _ in range(2 if self._chance(20) else 1)
            ]
        else:
            condition = None if self._chance(30) else _named(on)
            fragments = [
                InlineFragmentNode(type_condition=condition, selection_set=inner, directives=self._directives())
            ]
        return [*selections[:start], *fragments, *selections[end:]]

    def _condition(self, parent: GraphQLNamedType) -> str:
        """A type whose fragments may stand where `parent` is, mostly itself."""
        if not self._chance(30):
            return parent.name
        if isinstance(parent, GraphQLObjectType):
            others = [interface.name for interface in parent.interfaces]
        else:
            others = [possible.name for possible in self._schema.get_possible_types(parent)]  # type: ignore[arg-type]
        on: str = self._draw(st.sampled_from([parent.name, *sorted(others)]))
        return on

    def _alias(self) -> NameNode:
        self._aliases += 1
        return _name(f"a{self._aliases}")

    def _directives(self) -> tuple[DirectiveNode, ...]:
        found = []
        for name in ("skip", "include"):
            if self._chance(4):
                value: ValueNode = BooleanValueNode(value=self._draw(st.booleans()))
                if self._chance(60):
                    value = self._variable("Boolean!", value)
                argument = ArgumentNode(name=_name("if"), value=value)
                found.append(DirectiveNode(name=_name(name), arguments=(argument,)))
        return tuple(found)

    def _arguments(
        self, field: str, nodes: Iterable[ArgumentNode], definitions: Mapping[str, GraphQLArgument]
    ) -> tuple[ArgumentNode, ...]:
        """The arguments, without some of those that needn't be there, and with variables as some of the values."""
        kept = []
        for node in nodes:
            type_ = definitions[node.name.value].type
            optional = not is_non_null_type(type_) or definitions[node.name.value].default is not None
            if optional and not self._chance(30):
                continue
            if (fitting := self._fitting.get((field, node.name.value))) is not None and not self._chance(20):
                node = dataclasses.replace(node, value=self._draw(fitting))
            if self._chance(35):
                node = dataclasses.replace(node, value=self._variable(str(type_), node.value))
            kept.append(node)
        return tuple(kept)

    def _variable(self, type_: str, value: ValueNode) -> VariableNode:
        """A new variable in the place of a literal: given, null, absent, with a default, or something wrong."""
        name = f"v{len(self._variables)}"
        way = self._draw(st.integers(0, 39))
        default: ValueNode | None = None
        if way < 24:
            self.values[name] = value_from_ast_untyped(value)
        elif way < 30:  # absent, with or without a default
            default = value
        elif way < 34:
            default, self.values[name] = value, value_from_ast_untyped(value)
        elif way < 37:  # null in spite of the default: an error of the field where that takes no null
            default, self.values[name] = value, None
        elif way < 38:
            self.values[name] = None
        elif way < 39 and not type_.endswith("!"):
            pass
        else:
            self.values[name] = self._draw(st.sampled_from(WRONG_VALUES))
        if default is not None:
            type_ = type_.removesuffix("!")
        self._variables.append(
            VariableDefinitionNode(
                variable=VariableNode(name=_name(name)),
                type=parse_type(type_),
                default_value=default,  # type: ignore[arg-type]  # literals have no variables
                directives=(),
            )
        )
        return VariableNode(name=_name(name))


def _name(value: str) -> NameNode:
    return NameNode(value=value)


def _named(value: str) -> NamedTypeNode:
    return NamedTypeNode(name=_name(value))
