"""Resolvers of facets: values with their counts, and ranges of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.errors import BadUserInput
from api.execution import Loading
from api.fields.resolvers.base import Values, WithoutArguments
from api.fields.selection import ResolveInfo, selects_any
from api.lists.costs import Listing
from api.lists.facets import Faceted, FacetKey
from api.lists.histogram import MAX_BUCKETS
from api.lists.pagination import DEFAULT_SIZE, MAX_SIZE

if TYPE_CHECKING:
    from api.fields.context import Context


@dataclass(frozen=True, slots=True)
class FacetOf:
    """The most frequent values of a field in each list."""

    field: str

    def prepare(self, arguments: Mapping[str, Any]) -> int:
        """How many values are asked for. Raises BadUserInput for sizes outside 0 to 100."""
        first: int | None = arguments.get("first")
        size = DEFAULT_SIZE if first is None else first
        if not 0 <= size <= MAX_SIZE:
            raise BadUserInput(f"first must lie between 0 and {MAX_SIZE}.")
        return size

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: int) -> Values:
        return _load(self.field, sources, info, arguments) if arguments else [[] for _ in sources]


@dataclass(frozen=True, slots=True)
class RangeOf(WithoutArguments):
    """The range of the numbers of a field in each list, and their histogram where it is asked for."""

    field: str

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: None) -> Values:
        return _load(self.field, sources, info, MAX_BUCKETS if selects_any(info, ("histogram",)) else 0)


def _load(field: str, sources: Sequence[Any], info: ResolveInfo, size: int) -> Values:
    context: Context = info.context
    keys: list[FacetKey] = []
    for source in sources:
        faceted: Faceted = getattr(source, "page", source).faceted
        keys.append(FacetKey(faceted.question, faceted.owner, field, size))
        context.surcharge += Listing(whole=faceted.whole, reads=False, counts=0, facets=1).surcharge(0)
    # the loader's batch has all facets of the operation, since they are asked for in one turn
    loaded = context.loader(faceted.loader).load_many(keys)
    return Loading(loaded, lambda answers: answers)
