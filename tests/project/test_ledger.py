"""The ledger of the fault tests finds what it is for: writes that are lost, and refused ones that have happened."""

from __future__ import annotations

import pytest

from api.stores.stores import Stores
from tests.support.factories.avatars import create_avatar
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user
from tests.support.failures.ledger import Ledger, Line, Outcome, differences

pytestmark = pytest.mark.anyio


async def test_the_ledger_finds_what_is_lost_and_what_should_not_be(stores: Stores) -> None:
    user = await create_user(stores)
    for name in ("kept", "refused", "unknown", "stray"):
        await create_avatar(stores, user_id=user.id, name=name)
    for name in ("twice", "twice", "behind", "right"):
        await create_design(stores, user_id=user.id, name=name)
    made = Outcome.ACKNOWLEDGED
    ledger = Ledger(
        avatars={"kept": made, "lost": made, "refused": Outcome.REFUSED, "unknown": Outcome.UNKNOWN},
        designs={
            "twice": Line(made),
            "behind": Line(made, {2: {"behind, renamed"}}),
            "right": Line(made, {1: {"right"}, 2: {"right, renamed"}}),
            "gone": Line(made),
            "nowhere": Line(Outcome.UNKNOWN),
        },
    )

    assert sorted(await differences(ledger, stores, user.id)) == [
        "acknowledged, but there 0 times: gone",
        "acknowledged, but there 0 times: lost",
        "acknowledged, but there 2 times: twice",
        "is [(1, 'behind')], should be {2: {'behind, renamed'}}: behind",
        "nobody made it: stray",
        "refused, but there 1 times: refused",
    ]
