"""GraphiQL at /graphql, from files of the application's own where they are installed."""

from api.explorer.assets import AssetsMissing, ExplorerError
from api.explorer.command import app
from api.explorer.graphiql import page, routes
from api.explorer.npm import install

__all__ = ["AssetsMissing", "ExplorerError", "app", "install", "page", "routes"]
