"""Pictures for demo front ends, drawn of what is stored: catalog items, and designs with their layers."""

from api.http.pictures.routes import routes

__all__ = ["routes"]
