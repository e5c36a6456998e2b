"""Loaders of designs and of their revisions."""

from api.designs import revision_store, store

by_key = {
    "design": store.by_id,
    "design_revision": revision_store.by_version,
    "design_revisions": revision_store.pages,
    "design_revisions_count": revision_store.counts,
}
lists = {"designs": store.pages, "designs_count": store.counts}
