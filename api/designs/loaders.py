"""Loaders of designs and of their revisions."""

from api.designs import history, store

designs = {
    "design": store.by_id,
    "designs": store.pages,
    "designs_count": store.counts,
    "design_revision": history.by_version,
    "design_revisions": history.pages,
    "design_revisions_count": history.counts,
}
