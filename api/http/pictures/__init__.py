"""Pictures of catalog items and designs for demo front ends, drawn from what is stored."""

from api.http.pictures.routes import routes

__all__ = ["routes"]
