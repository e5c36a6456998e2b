"""Differences between two states of a design: in each layer, and in its other fields.

Pure functions on stored layers and designs (camelCase dictionaries). Fields that are absent from older documents, and
keys that Mongoose left behind, are no differences.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from documents.cleaning import clean_metadata, clean_name
from documents.design import STATUSES

Layer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field that changed, by its stored name. An absent value counts as null."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class LayerChange:
    """One layer whose content changed."""

    before: Layer
    after: Layer
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class LayerMove:
    """A layer that was moved in the order, with its indexes (from 0) in the old and the new list."""

    layer: Layer
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class LayerDiff:
    """The differences between two lists of layers. `moved` are as few layers as explain the new order."""

    added: tuple[Layer, ...]
    removed: tuple[Layer, ...]
    changed: tuple[LayerChange, ...]
    moved: tuple[LayerMove, ...]


def _parts(*names: str, default: float) -> Callable[[Any], Any]:
    def plain(value: Any) -> dict[str, Any]:
        return {name: default if value.get(name) is None else value[name] for name in names}

    return plain


_POSITION: Final = _parts("x", "y", "z", default=0)
_SCALE: Final = _parts("x", "y", default=1)
_CANVAS: Final = _parts("width", "height", default=0)

_LAYER: Final[Mapping[str, Callable[[Any], Any]]] = {
    "type": lambda value: value,
    "itemId": lambda value: value,
    "position": lambda value: _POSITION(value or {}),
    "rotation": lambda value: value,
    "scale": lambda value: None if value is None else _SCALE(value),
    "color": lambda value: value,
    "visible": lambda value: value is not False,
}
"""The fields of a layer, and how their stored values are read."""

_DESIGN: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "name": lambda design: clean_name(design),
    "status": lambda design: status if (status := design.get("status")) in STATUSES else STATUSES[0],
    "avatarId": lambda design: key if isinstance(key := design.get("avatarId"), str) else None,
    "metadata.tags": lambda design: list(_metadata(design).get("tags") or ()),
    "metadata.description": lambda design: _metadata(design).get("description"),
    "metadata.thumbnailUrl": lambda design: _metadata(design).get("thumbnailUrl"),
    "metadata.canvasSize": lambda design: (size := _metadata(design).get("canvasSize")) and _CANVAS(size),
}
"""The fields of a design beside its layers, and how their stored values are read."""


def _metadata(design: Mapping[str, Any]) -> Mapping[str, Any]:
    return clean_metadata(design.get("metadata"))


def diff_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """The changed fields beside the layers, by dotted path (`metadata.tags`)."""
    changes = (FieldChange(path, read(before), read(after)) for path, read in _DESIGN.items())
    return tuple(change for change in changes if change.before != change.after)


def diff_layer(before: Layer, after: Layer) -> tuple[FieldChange, ...]:
    """The changed fields of one layer."""
    if before == after:
        return ()
    changes = (FieldChange(name, plain(before.get(name)), plain(after.get(name))) for name, plain in _LAYER.items())
    return tuple(change for change in changes if change.before != change.after)


def diff_layers(before: Sequence[Layer], after: Sequence[Layer]) -> LayerDiff:
    """The differences between two lists of layers. Layers with the same id are the same layer."""
    old, new = _by_id(before), _by_id(after)
    common = [id for id in old if id in new]
    changed = [LayerChange(old[id], new[id], fields) for id in common if (fields := diff_layer(old[id], new[id]))]
    old_index = {id: index for index, id in enumerate(old)}
    new_index = {id: index for index, id in enumerate(new)}
    stayed = _longest_increasing([new_index[id] for id in common])
    return LayerDiff(
        added=tuple(layer for id, layer in new.items() if id not in old),
        removed=tuple(layer for id, layer in old.items() if id not in new),
        changed=tuple(changed),
        moved=tuple(
            LayerMove(new[id], old_index[id], new_index[id]) for place, id in enumerate(common) if place not in stayed
        ),
    )


def may_have_moved(before: Sequence[str], after: Sequence[str]) -> frozenset[str]:
    """The layers that may have been moved. Of two neighbours that were swapped, it is both."""
    new_index = {id: index for index, id in enumerate(after)}
    common = [id for id in before if id in new_index]
    places = [new_index[id] for id in common]
    ending = _lengths(places)
    starting = _lengths([-place for place in reversed(places)])[::-1]
    longest = max(ending, default=0)
    on_a_longest = [ending[i] + starting[i] - 1 == longest for i in range(len(places))]
    # a layer that is alone at its depth is in every longest unchanged order, so it wasn't moved
    depths = Counter(depth for depth, included in zip(ending, on_a_longest, strict=True) if included)
    return frozenset(
        id
        for id, depth, included in zip(common, ending, on_a_longest, strict=True)
        if not included or depths[depth] > 1
    )


def _by_id(layers: Sequence[Layer]) -> dict[Any, Layer]:
    return {layer.get("id"): layer for layer in layers}


def _lengths(numbers: Sequence[int]) -> list[int]:
    """For each number, the length of the longest increasing subsequence that ends with it."""
    lengths, tails = [], list[int]()
    for number in numbers:
        place = bisect_left(tails, number)
        tails[place : place + 1] = [number]
        lengths.append(place + 1)
    return lengths


def _longest_increasing(numbers: Sequence[int]) -> set[int]:
    """The indexes of one longest increasing subsequence."""
    lengths = _lengths(numbers)
    chosen: set[int] = set()
    wanted, bound = max(lengths, default=0), None
    for index in reversed(range(len(numbers))):
        if lengths[index] == wanted and (bound is None or numbers[index] < bound):
            chosen.add(index)
            wanted, bound = wanted - 1, numbers[index]
    return chosen
