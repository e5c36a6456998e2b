"""The stored columns that a query needs below a field, read off the schema.

Every field of a stored type says which columns it needs: a plain field its own, a declared field its key, a resolver
those in its metadata (`needs`). Fields of embedded parts give dotted paths (`layers.item_id`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLResolveInfo,
    SelectionSetNode,
    get_named_type,
    is_object_type,
)
from strawberry.types.field import StrawberryField

from api.bounded_dict import BoundedDict
from api.fields.schema_types import DEFINITION, class_of
from api.stores.views import Part, View

ResolveInfo: TypeAlias = GraphQLResolveInfo[Any]

CURSOR: Final = "cursor"
"""Marks fields that are cursors: for them, a page needs the column by which it is ordered."""
_MAX_CACHED: Final = 4096


def needs_of(field: StrawberryField) -> frozenset[str]:
    """The columns that a field of a stored type needs."""
    declared = field.metadata.get("needs")
    if declared is not None:
        return frozenset(declared)
    if field.base_resolver is not None:  # what a resolver reads is only known from its metadata
        raise TypeError(f"the resolver {field.python_name} must declare the columns that it needs")
    return frozenset((field.python_name,))


class _Columns:
    """Collects the columns in one walk over the selections below a field."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._seen: set[tuple[str, str, str]] = set()
        self.found: set[str] = set()
        self.cursors = False

    def walk(self, selections: SelectionSetNode | None, parent: Any, prefix: str) -> None:
        """Add what the selections on `parent` need; `prefix` is the path of an embedded part."""
        for field_node in self._fields(selections, parent, prefix):
            field = parent.fields.get(field_node.name.value) if is_object_type(parent) else None
            if field is None or (definition := field.extensions.get(DEFINITION)) is None:
                continue  # __typename, and fields of an interface that are looked up on the object
            child = get_named_type(field.type)
            if _stored(parent):
                embedded = is_object_type(child) and issubclass(class_of(child), Part)
                if embedded and "needs" not in definition.metadata:
                    part = f"{prefix}{definition.python_name}"
                    self.walk(field_node.selection_set, child, f"{part}.")
                    if not any(column.startswith(f"{part}.") for column in self.found):
                        self.found.add(part)  # no column is asked for, only whether the object exists
                else:
                    self.found.update(f"{prefix}{column}" for column in needs_of(definition))
            elif is_object_type(child):  # connections and edges have no columns; the objects are below them
                self.walk(field_node.selection_set, child, prefix)
            elif definition.metadata.get(CURSOR):
                self.cursors = True

    def _fields(self, selections: SelectionSetNode | None, parent: Any, prefix: str) -> Iterator[FieldNode]:
        for selection in selections.selections if selections else ():
            if isinstance(selection, FieldNode):
                yield selection
                continue
            fragment: Any = selection
            if isinstance(selection, FragmentSpreadNode):
                fragment = self._fragments.get(selection.name.value)
                visit = (selection.name.value, parent.name, prefix)
                if fragment is None or visit in self._seen:
                    continue
                self._seen.add(visit)
            condition = fragment.type_condition
            if condition is None or self._applies(condition.name.value, parent):
                yield from self._fields(fragment.selection_set, parent, prefix)

    def _applies(self, condition: str, parent: Any) -> bool:
        return condition == parent.name or condition in {interface.name for interface in parent.interfaces}


def _stored(graphql_type: Any) -> bool:
    return issubclass(class_of(graphql_type), (View, Part))


_Walked = tuple[tuple[Any, ...], frozenset[str], bool]
"""The nodes, the columns below them, and whether there are cursors."""
_cache: BoundedDict[tuple[int | str | None, ...], _Walked] = BoundedDict(_MAX_CACHED)
_selected: BoundedDict[tuple[frozenset[str], tuple[int, ...]], tuple[tuple[Any, ...], bool]] = BoundedDict(_MAX_CACHED)
"""Whether some fields are asked for below these nodes, which it keeps alive for the same reason."""


def columns_of(info: ResolveInfo, type_name: str | None = None) -> frozenset[str]:
    """The columns of the stored objects that this field leads to, directly or through a connection.

    `type_name` names the object where the field returns an interface. Parts in `@skip` and `@include` count as
    selected, so the result depends on the document alone and is cached with it.
    """
    return _walked(info, type_name)[1]


def selects_cursors(info: ResolveInfo) -> bool:
    """Whether cursors are asked for of the connection that this field leads to."""
    return _walked(info, None)[2]


def _walked(info: ResolveInfo, type_name: str | None) -> _Walked:
    nodes = info.field_nodes
    key = (id(info.schema), type_name, *map(id, nodes))
    if (
        cached := _cache.get(key)
    ) is not None:  # the entry keeps the nodes alive, so that no other object gets their ids
        return cached
    target: Any = info.schema.get_type(type_name) if type_name else get_named_type(info.return_type)
    columns = _Columns(info.fragments)
    for node in nodes:
        columns.walk(node.selection_set, target, "")
    walked = _cache[key] = tuple(nodes), frozenset(columns.found), columns.cursors
    return walked


def forget(document: DocumentNode) -> None:
    """Let go of a document's nodes. The cache doesn't know whose nodes it has, so it is cleared; it soon fills
    again."""
    _cache.clear()
    _selected.clear()


def selects_any(info: ResolveInfo, names: Iterable[str]) -> bool:
    """Whether the field's selection has any of these fields, fragments included."""
    wanted, nodes = frozenset(names), info.field_nodes
    key = wanted, tuple(map(id, nodes))
    cached = _selected.get(key)
    if cached is None:
        found = any(_selects(node.selection_set, wanted, info.fragments, frozenset()) for node in nodes)
        cached = _selected[key] = tuple(nodes), found
    return cached[1]


def _selects(
    selections: SelectionSetNode | None,
    wanted: frozenset[str],
    fragments: Mapping[str, FragmentDefinitionNode],
    seen: frozenset[str],
) -> bool:
    # not an inner function: a recursive one is a reference cycle, and would keep the whole request until a collection
    for selection in selections.selections if selections else ():
        if isinstance(selection, FieldNode):
            if selection.name.value in wanted:
                return True
        elif isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            if name not in seen and _selects(fragments[name].selection_set, wanted, fragments, seen | {name}):
                return True
        elif _selects(getattr(selection, "selection_set", None), wanted, fragments, seen):
            return True
    return False


def selects_below(info: ResolveInfo, name: str, below: str) -> bool:
    """Whether the field's selection has a field of this name that has one of that name, fragments included."""
    return any(
        _selects(field.selection_set, frozenset((below,)), info.fragments, frozenset())
        for node in info.field_nodes
        for field in _named(node.selection_set, name, info.fragments, frozenset())
    )


def _named(
    selections: SelectionSetNode | None,
    name: str,
    fragments: Mapping[str, FragmentDefinitionNode],
    seen: frozenset[str],
) -> Iterator[FieldNode]:
    for selection in selections.selections if selections else ():
        if isinstance(selection, FieldNode):
            if selection.name.value == name:
                yield selection
        elif isinstance(selection, FragmentSpreadNode):
            fragment = selection.name.value
            if fragment not in seen:
                yield from _named(fragments[fragment].selection_set, name, fragments, seen | {fragment})
        else:
            yield from _named(getattr(selection, "selection_set", None), name, fragments, seen)
