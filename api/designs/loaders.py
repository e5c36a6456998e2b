"""Loaders of designs and of their revisions."""

from api.designs import revision_store, store

designs = {
    "design": store.by_id,
    "designs": store.pages,
    "designs_count": store.counts,
    "design_revision": revision_store.by_version,
    "design_revisions": revision_store.pages,
    "design_revisions_count": revision_store.counts,
}
