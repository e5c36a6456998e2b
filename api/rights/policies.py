"""Rights as data: a policy a type, which yields what lists show, and decides for one object.

The same conditions become SQL predicates, MongoDB filters and decisions in Python, so lists, counts, `node(id)` and
nested connections cannot disagree. What a visible object refers to may be shown with it (an owner's name, an item
that is only inactive), guarded field by field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from api.errors import Forbidden, Unauthenticated
from api.lists.conditions import And, Compare, Condition, Or
from api.rights.viewer import Viewer
from api.stores.views import read

EVERYTHING: Final = And(())
NOTHING: Final = Or(())
LIVE: Final = Compare("deleted_at", "is_null", True)
DELETED: Final = Compare("deleted_at", "is_null", False)
PUBLISHED: Final = Compare("status", "in", ("published",))
"""Of designs: on show for everyone."""


def public_or_own(public: Condition, own: Condition) -> Condition:
    """What everyone may see, and what is the viewer's own: all of it for those to whom everything counts as own."""
    if own == EVERYTHING:
        return EVERYTHING
    return public if own == NOTHING else Or((public, own))


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may see which objects of a type.

    `listed` and `deleted` say which live and which soft-deleted objects a viewer may find; `editable` which of the
    visible ones they may change. `may_list` raises where the list of all is not for them. `shown_by` is the design
    reference (`user_id`, `avatar_id`) through which everyone may see an object, once a design is published.
    """

    listed: Callable[[Viewer], Condition]
    deleted: Callable[[Viewer], Condition]
    editable: Callable[[Viewer], Condition]
    may_list: Callable[[Viewer], None] = lambda viewer: None
    shown_by: str | None = None

    def scope(self, viewer: Viewer, *, deleted: bool = False) -> Condition:
        """Which objects of a list the viewer may find. Raises Forbidden (or Unauthenticated) for deleted ones."""
        if not deleted:
            return And((LIVE, self.listed(viewer)))
        visible = self.deleted(viewer)
        if visible == NOTHING:
            raise Unauthenticated if viewer.id is None else Forbidden
        return And((DELETED, visible))


def admins_only(viewer: Viewer) -> None:
    """A list that only admins may read."""
    viewer.require("admin")


def signed_in_only(viewer: Viewer) -> None:
    """A list that says something only to those who are signed in."""
    _ = viewer.account_id


def for_admins(viewer: Viewer) -> Condition:
    """Everything for admins, nothing for anyone else."""
    return EVERYTHING if viewer.is_admin else NOTHING


@dataclass(frozen=True, slots=True)
class Guard:
    """Who may see a field of a visible object; for others it is null. `needs` are the columns that it looks at."""

    needs: tuple[str, ...]
    allows: Callable[[Viewer, Any], bool]


def owner_only(column: str) -> Guard:
    """The account whose id is in this column, and admins."""

    def allows(viewer: Viewer, stored: Any) -> bool:
        return viewer.is_admin or (viewer.id is not None and str(read(stored, column)) == str(viewer.id))

    return Guard((column,), allows)
