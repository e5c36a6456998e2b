"""GraphiQL at /graphql, from files of the application's own where they are installed."""

from api.http.explorer.assets import AssetsMissing, ExplorerError
from api.http.explorer.graphiql import page, routes
from api.http.explorer.npm import install

__all__ = ["AssetsMissing", "ExplorerError", "install", "page", "routes"]
