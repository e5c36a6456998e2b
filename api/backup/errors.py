"""What keeps a backup from being made or restored."""

from __future__ import annotations

from api.stores.startup_errors import ServerError


class BackupError(ServerError):
    """A backup can't be made, or can't be restored. The message says why, and what to do."""
