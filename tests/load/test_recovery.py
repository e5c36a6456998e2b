"""When `python -m tests.load` says that a process has recovered."""

from __future__ import annotations

from dataclasses import replace

from tests.load.__main__ import recovery
from tests.load.steps import Step

CAME = Step(
    rate=60, seconds=12, answered=0, shed=0, failed=0, p50=0, p99=0, late=0, operations={}, errors=[], by_second={}
)


def test_a_process_has_recovered_in_the_first_second_in_which_all_are_answered_soon() -> None:
    """Seconds 0 to 2 are those of too many visitors, whatever came of them."""
    came = replace(
        CAME, by_second={0: (50, 0, 0), 3: (1500, 0, 0), 4: (50, 2, 0), 5: (50, 0, 1), 6: (199, 0, 0), 7: (900, 0, 0)}
    )
    assert recovery(came, 3) == (3, 199)


def test_a_process_may_not_have_recovered() -> None:
    assert recovery(replace(CAME, by_second={0: (50, 0, 0), 3: (201, 0, 0)}), 3) is None
