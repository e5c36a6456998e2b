"""The structure of a document, measured before it is validated: depth, fields, aliases, lists.

Each definition is walked once, and the totals of a fragment are added wherever it is spread. (Strawberry's limiters
walk a fragment again at each spread, so that a document of 774 bytes takes them 5 seconds.) The schema isn't looked at,
and cycles and unknown fragments are left for validation to report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from graphql import (
    ArgumentNode,
    DocumentNode,
    ExecutableDefinitionNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
)

from api.admission.refusals import CAP, require
from api.config.settings import Settings


@dataclass(slots=True)
class Structure:
    """What a document has. Of several operations, the greatest numbers count; fields of fragments count at every
    spread.

    `depth` is how deep fields nest, `list_items` the length of the longest list in an argument.
    """

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    root_fields: int = 0
    list_items: int = 0
    operations: int = 0

    def require(self, settings: Settings) -> None:
        """Raise TooComplex where something is above its limit."""
        require("Fields nest too deep", "max_depth", settings.max_depth, self.depth)
        require("Too many root fields", "max_root_fields", settings.max_root_fields, self.root_fields)
        require("Too many aliases", "max_aliases", settings.max_aliases, self.aliases)
        require("Too many fields", "max_fields", settings.max_fields, self.fields)
        require("A list is too long", "max_list_items", settings.max_list_items, self.list_items)


@dataclass(slots=True)
class _Part:
    """What one definition has: first by itself, then, after `_sum`, with its fragments."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    list_items: int = 0
    spreads: list[tuple[str, int]] = field(default_factory=list)
    """The spread fragments, with their depths. Spreads of one fragment in one selection set count once."""


def structure_of(document: DocumentNode) -> Structure:
    """Measure a document."""
    fragments: dict[str, FragmentDefinitionNode] = {}
    operations: list[OperationDefinitionNode] = []
    for definition in document.definitions:
        if isinstance(definition, FragmentDefinitionNode):
            fragments[definition.name.value] = definition
        elif isinstance(definition, OperationDefinitionNode):
            operations.append(definition)
    parts = {name: _own_part(fragment) for name, fragment in fragments.items()}
    for name in _spread_first(parts):
        _sum(parts[name], parts)
    whole = Structure(operations=len(operations))
    whole.list_items = max((part.list_items for part in parts.values()), default=0)
    for operation in operations:
        part = _own_part(operation)
        _sum(part, parts)
        whole.depth = max(whole.depth, part.depth)
        whole.fields = max(whole.fields, part.fields)
        whole.aliases = max(whole.aliases, part.aliases)
        whole.list_items = max(whole.list_items, part.list_items)
        whole.root_fields = max(whole.root_fields, len(_response_keys(operation, fragments)))
    return whole


def _own_part(definition: ExecutableDefinitionNode) -> _Part:
    """What a definition has, without its fragments."""
    part = _Part()
    pending = [(definition.selection_set, 1)]
    while pending:
        selections, depth = pending.pop()
        spreads: set[str] = set()
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                part.fields += 1
                part.depth = max(part.depth, depth)
                if selection.alias is not None:
                    part.aliases += 1
                if selection.arguments:
                    part.list_items = max(part.list_items, _longest_list(selection.arguments))
                if selection.selection_set is not None:
                    pending.append((selection.selection_set, depth + 1))
            elif isinstance(selection, FragmentSpreadNode):
                spreads.add(selection.name.value)
            else:
                nested: SelectionSetNode = selection.selection_set  # type: ignore[attr-defined]
                pending.append((nested, depth))
        part.spreads.extend((name, depth) for name in spreads)
    return part


def _sum(part: _Part, parts: Mapping[str, _Part]) -> None:
    """Add what the fragments have. They must have been summed up before."""
    for name, depth in part.spreads:
        spread = parts.get(name)
        if spread is not None:
            part.depth = max(part.depth, depth - 1 + spread.depth)
            part.fields = min(CAP, part.fields + spread.fields)
            part.aliases = min(CAP, part.aliases + spread.aliases)


def _spread_first(parts: Mapping[str, _Part]) -> Iterator[str]:
    """The names of all fragments, each after those that it spreads. A spread that closes a cycle is ignored."""
    begun: set[str] = set()
    for root in parts:
        if root in begun:
            continue
        begun.add(root)
        path = [(root, iter(parts[root].spreads))]
        while path:
            name, spreads = path[-1]
            for spread, _ in spreads:
                if spread in parts and spread not in begun:
                    begun.add(spread)
                    path.append((spread, iter(parts[spread].spreads)))
                    break
            else:
                path.pop()
                yield name


def _response_keys(operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> set[str]:
    """The response keys of an operation's root fields."""
    keys: set[str] = set()
    seen: set[str] = set()
    pending = [operation.selection_set]
    while pending:
        for selection in pending.pop().selections:
            if isinstance(selection, FieldNode):
                keys.add((selection.alias or selection.name).value)
            elif not isinstance(selection, FragmentSpreadNode):
                pending.append(selection.selection_set)  # type: ignore[attr-defined]
            elif (name := selection.name.value) not in seen and name in fragments:
                seen.add(name)
                pending.append(fragments[name].selection_set)
    return keys


def _longest_list(arguments: Iterable[ArgumentNode]) -> int:
    longest = 0
    pending: list[ValueNode] = [argument.value for argument in arguments]
    while pending:
        value = pending.pop()
        if isinstance(value, ListValueNode):
            longest = max(longest, len(value.values))
            pending.extend(value.values)
        elif isinstance(value, ObjectValueNode):
            pending.extend(each.value for each in value.fields)
    return longest
