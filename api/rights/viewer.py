"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from api.errors import Forbidden, Unauthenticated


@dataclass(frozen=True, slots=True)
class Viewer:
    """The account behind a request, as it was within the last second; all None for an anonymous one."""

    id: UUID | None = None
    role: str | None = None
    session_id: UUID | None = None

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    @property
    def account_id(self) -> UUID:
        """The id of the account. Raises Unauthenticated for an anonymous viewer."""
        if self.id is None:
            raise Unauthenticated
        return self.id

    def require(self, *roles: str) -> UUID:
        """The id of the account, which must have one of these roles (admins may do everything).

        Raises Unauthenticated for an anonymous viewer, Forbidden for one of another role.
        """
        account_id = self.account_id
        if not self.is_admin and self.role not in roles:
            raise Forbidden
        return account_id


def may_use_premium(role: str | None) -> bool:
    """Whether an account of this role may use premium items."""
    return role in ("premium", "brand", "admin")


ANONYMOUS: Final = Viewer()
SYSTEM: Final = Viewer(role="admin")
"""The command line and background work: may do everything and is nobody."""
