"""What may stand inside of `and`, `or` and `not`, before a store hears of it."""

from __future__ import annotations

from typing import Any

import pytest

from api.avatars.inputs import AvatarFilter
from api.catalog.inputs import CatalogItemFilter
from api.designs.inputs import DesignFilter
from api.errors import BadUserInput
from api.lists.conditions import EVERYTHING, Compare, Not
from api.lists.filters import condition_of
from api.users.inputs import UserFilter


@pytest.mark.parametrize("kind", [UserFilter, AvatarFilter, CatalogItemFilter, DesignFilter])
def test_deleted_stands_alone(kind: Any) -> None:
    """It chooses the list, so inside it would mean nothing: it is refused there, whatever it says."""
    assert condition_of(kind(deleted=True)) == condition_of(kind(deleted=False)) == EVERYTHING
    assert condition_of(kind(deleted=True, id=[])) == Compare("id", "in", ())
    for deleted in (True, False):
        inside = kind(deleted=deleted)
        for filter in (
            kind(and_=[inside]),
            kind(or_=[inside]),
            kind(not_=inside),
            kind(and_=[kind(), inside], deleted=True),
            kind(not_=kind(or_=[kind(and_=[inside])])),
        ):
            with pytest.raises(BadUserInput, match=r"^deleted can't be combined with and, or and not\.$"):
                condition_of(filter)
    assert condition_of(kind(not_=kind(deleted=None))) == Not(EVERYTHING)
