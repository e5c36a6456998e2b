"""Loaders of designs and of their revisions."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Final

from api.designs import revision_store, store
from api.fields.sources import Source, counts, facets, objects, pages, some_bytes

_WITH_LAYERS: Final = 5000
"""About the bytes of a design with its layers: some twenty."""


def _size_of(columns: frozenset[str]) -> int:
    return _WITH_LAYERS if "layers" in columns else some_bytes(columns)


def _rows_of_span(key: Any) -> int:
    span: revision_store.Span = key[2]
    return span.size + 1


sources: Final[Mapping[str, Source]] = {
    "design": objects(store.by_id, _size_of),
    "designs": pages(store.pages, _size_of),
    "designs_count": counts(store.counts),
    "catalog_item_usage": objects(store.usage),
    "similar_designs": Source(store.candidates, _size_of, question=itemgetter(2), rows=lambda _: store.MOST_OF_VALUE),
    "designs_facets": facets(store.facets),
    "design_revision": objects(revision_store.by_version, _size_of),
    "design_revisions": Source(revision_store.pages, _size_of, question=itemgetter(2), rows=_rows_of_span),
    "design_revisions_count": objects(revision_store.counts),
}
