"""Who may see and change designs."""

from __future__ import annotations

from typing import Final

from api.lists.conditions import Compare, Condition, Or
from api.rights.policies import EVERYTHING, NOTHING, PUBLISHED, Policy
from api.rights.viewer import Viewer


def _own(viewer: Viewer) -> Condition:
    if viewer.is_admin:
        return EVERYTHING
    return NOTHING if viewer.id is None else Compare("user_id", "in", (str(viewer.id),))


def _listed(viewer: Viewer) -> Condition:
    own = _own(viewer)
    if own == EVERYTHING:
        return EVERYTHING
    return PUBLISHED if own == NOTHING else Or((PUBLISHED, own))


designs: Final = Policy(listed=_listed, deleted=_own, editable=_own)
