"""Similar designs: what a design is like by its tags, its layers and their items, and the field that shows the best.

Only published designs are shown, and only those that the viewer finds in lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from api.designs.store import Document
from api.execution import Loading
from api.fields.resolvers.base import Values
from api.fields.selection import ResolveInfo
from api.lists.conditions import And
from api.lists.pagination import size_of
from api.rights.policies import PUBLISHED
from api.similarity.scoring import most_similar
from api.similarity.traits import NONE, Candidate, Traits, all_of, text, texts
from api.similarity.types import parts_of
from api.stores.views import read
from api.uuids import uuid_of
from documents.design import item_ids_of, layers_of
from documents.last_change import made_at

if TYPE_CHECKING:
    from api.fields.context import Context

NEEDS: Final = ("id", "metadata.tags", "layers")
MOST_TAGS: Final = 10
MOST_ITEMS: Final = 10
"""Tags and items of a design by which candidates are sought; all of them count in the score."""
_OF_ITEMS: Final = frozenset(("type", "category", "properties", "deleted_at"))


def tags_of(design: Document) -> frozenset[str]:
    """The tags of a stored design."""
    metadata = design.get("metadata")
    return texts(metadata.get("tags")) if isinstance(metadata, dict) else NONE


def sources_of(design: Document) -> Iterator[tuple[str, str]]:
    """Where candidates for a design are sought: among those with one of its tags, or one of its items."""
    for tag in sorted(tags_of(design))[:MOST_TAGS]:
        yield "tag", tag
    for item in item_ids_of(layers_of(design))[:MOST_ITEMS]:
        yield "item", item


def traits_of(design: Document, items: Mapping[UUID, Any]) -> Traits:
    """The traits of a stored design: its tags, the types and colours of its layers, and what is known of their items.

    A layer without a colour of its own has that of its item.
    """
    layers = [layer for layer in layers_of(design) if isinstance(layer, dict)]
    shown = [(layer, _properties(items, layer)) for layer in layers]
    return Traits(
        tags=tags_of(design),
        colours=all_of(text(layer.get("color")) or text(properties.get("color")) for layer, properties in shown),
        materials=all_of(text(properties.get("material")) for _, properties in shown),
        categories=all_of(text(properties.get("category")) for _, properties in shown),
        types=all_of(text(layer.get("type")) for layer in layers),
    )


def _properties(items: Mapping[UUID, Any], layer: Document) -> Document:
    """Those of the layer's item, with its category; none where it is gone."""
    key = uuid_of(layer.get("itemId"))
    item = None if key is None else items.get(key)
    if item is None:
        return {}
    stored = read(item, "properties")
    return {**(stored if isinstance(stored, dict) else {}), "category": read(item, "category")}


@dataclass(frozen=True, slots=True)
class SimilarDesigns:
    """The published designs that are most similar to each design. One command for all, and one statement for the items
    of all."""

    def prepare(self, arguments: Mapping[str, Any]) -> int:
        return size_of("first", arguments.get("first"))

    def load(self, sources: Sequence[Any], info: ResolveInfo, first: int) -> Values:
        designs = [getattr(source, "stored", source) for source in sources]
        if not first:
            return [[] for _ in designs]
        return Loading(_similar(designs, info.context, first), lambda found: found)


async def _similar(designs: Sequence[Document], context: Context, first: int) -> list[list[dict[str, Any]]]:
    scope = And((context.policy("Design").scope(context.viewer), PUBLISHED))
    keys = [[(*source, scope) for source in sources_of(design)] for design in designs]
    lists = iter(await context.loader("similar_designs").load_many([key for own in keys for key in own]))
    groups: list[dict[Any, Document]] = []
    for design, own in zip(designs, keys, strict=True):
        group = {found["_id"]: found for _ in own for found in next(lists)}
        group.pop(design["_id"], None)
        groups.append(group)
    every = {id: found for group in groups for id, found in group.items()}
    items = await _items([*designs, *every.values()], context)
    known = {id: Candidate(id, made_at(found), traits_of(found, items)) for id, found in every.items()}
    return [
        parts_of(most_similar(traits_of(design, items), [known[id] for id in group], first), "designId")
        for design, group in zip(designs, groups, strict=True)
    ]


async def _items(designs: Sequence[Document], context: Context) -> dict[UUID, Any]:
    """The live items of these designs by key."""
    keys = list(dict.fromkeys(key for design in designs for key in item_ids_of(layers_of(design))))
    if not keys:
        return {}
    found = await context.loader("catalog_item").load_many(keys, _OF_ITEMS)
    live = ((uuid_of(key), item) for key, item in zip(keys, found, strict=True) if item is not None)
    return {key: item for key, item in live if key is not None and read(item, "deleted_at") is None}
