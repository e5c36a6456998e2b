"""Patches of layers: applying operations in order, and finding conflicts with other changes.

Pure functions on layers as they are stored (camelCase dictionaries).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import documents
from api.designs.diff import diff_layers, may_have_moved
from api.designs.patch_operations import Add, LayerOperation, Move, Remove, Reorder, Update
from api.designs.validation import MAX_LAYERS
from documents.cleaning import clean_layer, clean_layers, shown_id

Layer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an operation can't be applied. `path` is the place in it; `missing` means that a named layer doesn't
    exist."""

    operation: int
    path: tuple[str, ...]
    message: str
    missing: bool = False


def apply(
    layers: Sequence[Layer], operations: Sequence[LayerOperation], *, clamp: bool = False
) -> tuple[list[Layer], list[Problem]]:
    """The layers after all operations. If some have problems, the layers without these operations.

    With `clamp`, an index beyond the end means the end, since layers may have been removed since the client counted.
    """
    patched, problems = list(layers), list[Problem]()
    for number, operation in enumerate(operations):
        problem = _apply_one(patched, operation, clamp)
        if problem is not None:
            path, message, missing = problem
            problems.append(Problem(number, path, message, missing))
        elif isinstance(operation, Add) and MAX_LAYERS < len(patched) > len(layers):
            problems.append(Problem(number, (), f"a design has at most {MAX_LAYERS} layers"))
    return patched, problems


_Problem = tuple[tuple[str, ...], str, bool]


def _apply_one(layers: list[Layer], operation: LayerOperation, clamp: bool) -> _Problem | None:
    """Change the layers in place, or return the problem."""
    match operation:
        case Add(layer=new, index=index):
            if _find(layers, new.id) is not None:
                return ("layer", "id"), "another layer has this id", False
            if index is not None and index > len(layers) and not clamp:
                return _beyond(len(layers))
            layers.insert(len(layers) if index is None else index, new.to_mongo())
        case Reorder(layer_ids=ids):
            by_id = {shown_id(layer): layer for layer in layers}
            if Counter(ids) != Counter(map(shown_id, layers)):
                return ("layerIds",), "must name every layer once", False
            layers[:] = [by_id[id] for id in ids]
        case Move() | Update() | Remove():
            place = _find(layers, operation.layer_id)
            if place is None:
                return ("layerId",), "There is no such layer.", True
            if isinstance(operation, Update):
                layers[place] = _changed(layers[place], operation.changes())
                return None
            if isinstance(operation, Move) and operation.index >= len(layers) and not clamp:
                return _beyond(len(layers) - 1)
            layer = layers.pop(place)
            if isinstance(operation, Move):
                layers.insert(operation.index, layer)
    return None


def _changed(layer: Layer, changes: Mapping[str, Any]) -> Layer:
    layer = clean_layer(layer)
    changed = {**layer, **documents.Layer.keeping(layer, changes)}
    if "position" in changes:
        changed["position"] = {"x": 0, "y": 0, "z": 0, **(layer.get("position") or {}), **changes["position"]}
    return {name: value for name, value in changed.items() if value is not None}


def _beyond(last: int) -> _Problem:
    return ("index",), f"must be at most {last}", False


def _find(layers: Sequence[Layer], id: str) -> int | None:
    return next((place for place, layer in enumerate(layers) if shown_id(layer) == id), None)


def conflicts(base: Sequence[Layer], current: Sequence[Layer], operations: Sequence[LayerOperation]) -> list[int]:
    """The operations that were made for the layers of `base` and conflict with the changes to `current`.

    The content of a layer and its place in the order are independent: an operation conflicts where the same aspect of
    the same layer was changed, or the layer was added or removed. A new order of all layers conflicts with any other.
    """
    base, current = clean_layers(base), clean_layers(current)
    happened = diff_layers(base, current)
    came_or_went = {layer.get("id") for layer in (*happened.added, *happened.removed)}
    content = came_or_went | {change.after.get("id") for change in happened.changed}
    before, after = [str(layer.get("id")) for layer in base], [str(layer.get("id")) for layer in current]
    place = came_or_went | may_have_moved(before, after)

    def conflict(operation: LayerOperation) -> bool:
        match operation:
            case Add(layer=layer):
                return layer.id in came_or_went
            case Update() | Remove():
                return operation.layer_id in content
            case Move():
                return operation.layer_id in place
            case Reorder():
                return before != after

    return [number for number, operation in enumerate(operations) if conflict(operation)]


def contested(
    base: Sequence[Layer], current: Sequence[Layer], operations: Sequence[LayerOperation], numbers: Sequence[int]
) -> list[str]:
    """The ids of the layers in conflicting operations; of a new order, of the layers that moved."""
    before, after = [*map(shown_id, base)], [*map(shown_id, current)]
    ids: list[str] = []
    for operation in map(operations.__getitem__, numbers):
        match operation:
            case Add(layer=layer):
                ids.append(layer.id)
            case Reorder():
                ids += sorted({*before} ^ {*after} | may_have_moved(before, after))
            case _:
                ids.append(operation.layer_id)
    return list(dict.fromkeys(ids))
