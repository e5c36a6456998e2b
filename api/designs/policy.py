"""Who may see and change designs."""

from __future__ import annotations

from typing import Final

from api.lists.conditions import Compare, Condition
from api.rights.policies import EVERYTHING, NOTHING, PUBLISHED, Policy, public_or_own
from api.rights.viewer import Viewer


def _own(viewer: Viewer) -> Condition:
    if viewer.is_admin:
        return EVERYTHING
    return NOTHING if viewer.id is None else Compare("user_id", "in", (str(viewer.id),))


def _listed(viewer: Viewer) -> Condition:
    return public_or_own(PUBLISHED, _own(viewer))


designs: Final = Policy(listed=_listed, deleted=_own, editable=_own)
