"""Similar catalog items: where candidates are sought, and the field that shows the best of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.catalog.traits import traits_of
from api.colours.table import colour_of, look_alikes
from api.execution import Loading
from api.fields.resolvers.base import Values
from api.fields.selection import ResolveInfo
from api.lists.pagination import size_of
from api.similarity.scoring import most_similar
from api.similarity.traits import Candidate, Traits
from api.similarity.types import parts_of
from api.stores.views import read

NEEDS: Final = ("id", "type", "category", "properties")
MOST_TAGS: Final = 10
"""Tags of an item by which candidates are sought; all of them count in the score."""
MOST_COLOURS: Final = 4
"""Names of colours by which candidates are sought, the item's own among them."""
ALIKE: Final = 12.0
"""The distance up to which a colour is sought in place of another."""


def sources_of(traits: Traits) -> Iterator[tuple[str, str]]:
    """Where candidates for an item are sought."""
    for tag in sorted(traits.tags)[:MOST_TAGS]:
        yield "tag", tag
    for material in traits.materials:
        yield "material", material
    for colour in traits.colours:
        known = colour_of(colour)
        names = () if known is None else look_alikes(known, ALIKE)
        for name in list(dict.fromkeys((colour, *names)))[:MOST_COLOURS]:
            yield "color", name
    for category in traits.categories:
        yield "category", category
    if not traits.categories:
        for type_ in traits.types:
            yield "type", type_


@dataclass(frozen=True, slots=True)
class SimilarItems:
    """The items that are most similar to each item, among those that the viewer finds in lists. One statement for
    all."""

    def prepare(self, arguments: Mapping[str, Any]) -> int:
        return size_of("first", arguments.get("first"))

    def load(self, sources: Sequence[Any], info: ResolveInfo, first: int) -> Values:
        context = info.context
        scope = context.policy("CatalogItem").scope(context.viewer)
        subjects = [traits_of(read(item, "type"), read(item, "category"), read(item, "properties")) for item in sources]
        keys = [[(*source, scope) for source in sources_of(subject)] for subject in subjects]
        if not first:
            return [[] for _ in sources]

        def similar(lists: Sequence[Sequence[Candidate]]) -> list[list[dict[str, Any]]]:
            found, rest = [], iter(lists)
            for item, subject, own in zip(sources, subjects, keys, strict=True):
                candidates = {candidate.id: candidate for _ in own for candidate in next(rest)}
                candidates.pop(read(item, "id"), None)
                found.append(parts_of(most_similar(subject, candidates.values(), first), "itemId"))
            return found

        wanted = [key for own in keys for key in own]
        return Loading(context.loader("similar_items").load_many(wanted), similar)
