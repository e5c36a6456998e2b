"""What SIGTERM and SIGINT do to what a command runs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from api.server.signals import cancelled_by_signals

BOTH = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of pytest are put back."""
    before = {number: signal.getsignal(number) for number in BOTH}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", BOTH)
def test_what_runs_in_a_loop_is_cancelled_where_it_waits(number: signal.Signals) -> None:
    seen = []

    async def work() -> None:
        try:
            signal.raise_signal(number)
            seen.append("went on to where it waits")
            await asyncio.sleep(60)
        except BaseException as error:
            seen.append(type(error).__name__)
            await asyncio.sleep(0)  # tidying up may wait
            seen.append("tidied up")
            raise

    with pytest.raises(SystemExit) as ended, cancelled_by_signals():
        asyncio.run(work())

    assert seen == ["went on to where it waits", "CancelledError", "tidied up"]
    assert ended.value.code == 128 + number


@pytest.mark.parametrize("number", BOTH)
def test_without_a_loop_the_block_is_left_at_once(number: signal.Signals) -> None:
    went_on = False

    def work() -> None:
        nonlocal went_on
        signal.raise_signal(number)
        went_on = True

    with pytest.raises(SystemExit) as ended, cancelled_by_signals():
        work()

    assert not went_on
    assert ended.value.code == 128 + number


@pytest.mark.parametrize("in_a_loop", [True, False])
def test_a_server_has_its_own_code(in_a_loop: bool) -> None:
    async def work() -> None:
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(60)

    with pytest.raises(SystemExit) as ended, cancelled_by_signals(0):
        asyncio.run(work()) if in_a_loop else signal.raise_signal(signal.SIGTERM)

    assert ended.value.code == 0


def test_a_second_signal_does_not_interrupt_what_the_first_one_does() -> None:
    tidied = []

    async def work() -> None:
        signal.raise_signal(signal.SIGTERM)
        try:
            await asyncio.sleep(60)
        finally:
            for number in BOTH:
                signal.raise_signal(number)
            await asyncio.sleep(0.01)
            tidied.append(True)

    with pytest.raises(SystemExit) as ended, cancelled_by_signals():
        asyncio.run(work())

    assert tidied
    assert ended.value.code == 128 + signal.SIGTERM


def test_what_is_cancelled_otherwise_stays_cancelled() -> None:
    with pytest.raises(asyncio.CancelledError), cancelled_by_signals():
        raise asyncio.CancelledError
