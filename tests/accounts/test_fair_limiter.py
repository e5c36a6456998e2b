"""A few at a time, in turn: who asks for much doesn't keep others waiting, and nothing is lost with who leaves."""

from __future__ import annotations

import asyncio

import pytest

from api.accounts.fair_limiter import FairLimiter
from api.errors import RateLimited

pytestmark = pytest.mark.anyio


class Work:
    """Blocks that run until they are told to end; `begun` is the order in which they began."""

    def __init__(self, limiter: FairLimiter) -> None:
        self.limiter = limiter
        self.begun: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}

    async def _run(self, name: str) -> None:
        async with self.limiter.turn(name[0]):
            self.begun.append(name)
            await self._ends[name].wait()

    def start(self, name: str) -> asyncio.Task[None]:
        self._ends[name] = asyncio.Event()
        return asyncio.create_task(self._run(name))

    def end(self, name: str) -> None:
        self._ends[name].set()


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_parties_take_turns() -> None:
    work = Work(FairLimiter(1, 10, 5, 1.0))
    tasks = [work.start(name) for name in ("a1", "a2", "a3", "b1", "b2", "c1")]
    await settled()
    assert work.begun == ["a1"]

    for name in ("a1", "a2", "b1", "c1", "a3", "b2"):
        work.end(name)
        await settled()
    await asyncio.gather(*tasks)

    assert work.begun == ["a1", "a2", "b1", "c1", "a3", "b2"]


async def test_who_is_too_many_is_told_when_to_come_again() -> None:
    limiter = FairLimiter(2, 4, 3, 0.8)
    work = Work(limiter)
    tasks = [work.start(name) for name in ("a1", "a2", "a3", "a4", "a5")]
    await settled()
    assert (work.begun, limiter.waiting) == (["a1", "a2"], 3)

    with pytest.raises(RateLimited) as of_party:
        await work._run("a6")
    tasks.append(work.start("b1"))
    await settled()
    with pytest.raises(RateLimited) as of_all:
        await work._run("c1")

    assert of_party.value.headers == {"retry-after": "2"}  # 3 x 0.8 / 2
    assert of_all.value.headers == {"retry-after": "2"}  # 4 x 0.8 / 2
    assert limiter.waiting == 4
    for name in ("a1", "a2", "a3", "a4", "a5", "b1"):
        work.end(name)
    await asyncio.gather(*tasks)
    assert (limiter.waiting, limiter._free) == (0, 2)


@pytest.mark.parametrize("turns", range(12))
async def test_whoever_leaves_at_any_moment_takes_no_turn_along(turns: int) -> None:
    limiter = FairLimiter(1, 10, 10, 1.0)
    work = Work(limiter)
    first, leaving, last = work.start("a1"), work.start("a2"), work.start("b1")
    await settled()
    work.end("a1")
    for _ in range(turns):
        await asyncio.sleep(0)
    leaving.cancel()
    work.end("a2")
    work.end("b1")

    await asyncio.wait([first, leaving, last], timeout=5)

    assert last.done()
    assert "b1" in work.begun
    assert (limiter.waiting, limiter._free) == (0, 1)


async def test_a_block_that_fails_passes_its_turn_on() -> None:
    limiter = FairLimiter(1, 1, 1, 1.0)
    with pytest.raises(ValueError, match="failed"):
        async with limiter.turn(None):
            raise ValueError("failed")

    async with limiter.turn(None):
        pass
    assert limiter._free == 1
