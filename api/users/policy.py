"""Who may see and change accounts."""

from __future__ import annotations

from typing import Final

from api.lists.conditions import Compare, Condition
from api.rights.policies import EVERYTHING, NOTHING, Policy, admins_only, for_admins, owner_only
from api.rights.viewer import Viewer


def _own(viewer: Viewer) -> Condition:
    if viewer.is_admin:
        return EVERYTHING
    return NOTHING if viewer.id is None else Compare("id", "in", (viewer.id,))


users: Final = Policy(listed=_own, deleted=for_admins, editable=_own, may_list=admins_only, shown_by="user_id")
SELF: Final = owner_only("id")
