"""Loaders of designs."""

from api.designs import store

designs = {"design": store.by_id, "designs": store.pages, "designs_count": store.counts}
