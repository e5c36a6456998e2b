"""Who may see and change avatars."""

from __future__ import annotations

from typing import Final

from api.lists.conditions import Compare, Condition
from api.rights.policies import EVERYTHING, NOTHING, Policy, owner_only, signed_in_only
from api.rights.viewer import Viewer


def _own(viewer: Viewer) -> Condition:
    if viewer.is_admin:
        return EVERYTHING
    return NOTHING if viewer.id is None else Compare("user_id", "in", (viewer.id,))


avatars: Final = Policy(listed=_own, deleted=_own, editable=_own, may_list=signed_in_only, shown_by="avatar_id")
OWNER: Final = owner_only("user_id")
