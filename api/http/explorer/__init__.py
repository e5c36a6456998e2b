"""GraphiQL at /graphql, from installed files, or from a CDN where there are none."""

from api.http.explorer.assets import AssetsMissing, ExplorerError
from api.http.explorer.graphiql import page, routes
from api.http.explorer.npm import install

__all__ = ["AssetsMissing", "ExplorerError", "install", "page", "routes"]
