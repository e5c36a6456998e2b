"""Whom PostgreSQL is told about: the identity of whoever acts, for its triggers and its row-level security."""

from __future__ import annotations

from api.rights.viewer import Viewer
from api.stores.postgres.row_level_security import Identity


def identity_of(viewer: Viewer, request_id: str, *, system: bool = False) -> Identity:
    """The identity of a viewer's request, or of the service itself on behalf of the viewer."""
    role = "system" if system else viewer.role or ""
    return Identity("" if viewer.id is None else str(viewer.id), role, request_id)
