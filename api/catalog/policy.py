"""Who may see and change catalog items."""

from __future__ import annotations

from typing import Any, Final

from api.lists.conditions import Compare, Condition
from api.rights.policies import EVERYTHING, NOTHING, Guard, Policy, public_or_own
from api.rights.viewer import Viewer, may_use_premium
from api.stores.views import read

ACTIVE: Final = Compare("is_active", "in", (True,))


def _own(viewer: Viewer) -> Condition:
    if viewer.is_admin:
        return EVERYTHING
    return Compare("created_by", "in", (viewer.id,)) if viewer.role == "brand" else NOTHING


def _listed(viewer: Viewer) -> Condition:
    return public_or_own(ACTIVE, _own(viewer))


catalog_items: Final = Policy(listed=_listed, deleted=_own, editable=_own)


def _may_use(viewer: Viewer, stored: Any) -> bool:
    return may_use_premium(viewer.role) or not read(stored, "is_premium")


ASSET: Final = Guard(("is_premium",), _may_use)
