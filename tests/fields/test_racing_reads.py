"""Any order of requests, writes, failures, cancellations and slow answers: everybody is told what is true.

`RACES=200` runs so many races instead of a few, and others each time.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, ClassVar, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from api.config.settings import Settings
from tests.support.failures.racing import DESIGNS, MONGODB, POSTGRES, QUERIES, VIEWERS, Question, Race, racing

# a second execution would be a reader more; pymongo and asyncpg leave sockets that are reset while they connect
pytestmark = [pytest.mark.executed_once, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]

RACES: Final = os.environ.get("RACES")
STORES: Final = st.sampled_from((POSTGRES, MONGODB))
TURNS: Final = st.integers(0, 30)
CHANGES: Final = ("design", "person", "publishDesign", "returnDesignToDraft")
QUESTIONS: Final = st.builds(
    Question, st.sampled_from(VIEWERS), st.sampled_from(tuple(QUERIES)), st.sampled_from(tuple(DESIGNS))
)


class Racing(RuleBasedStateMachine):
    """What happens to an application; `runner` has its loop."""

    runner: ClassVar[asyncio.Runner]
    race: ClassVar[Race]

    def _run(self, work: Any) -> None:
        self.runner.run(work)

    @rule(questions=st.lists(QUESTIONS, min_size=1, max_size=12), turns=TURNS)
    def ask(self, questions: list[Question], turns: int) -> None:
        async def asking() -> None:
            for question in questions:
                self.race.ask(question)
            await self.race.go_on(turns)

        self._run(asking())

    @rule(question=QUESTIONS, number=st.integers(3, 12), turns=TURNS)
    def ask_alike(self, question: Question, number: int, turns: int) -> None:
        self.ask([question] * number, turns)

    @rule(turns=TURNS)
    def go_on(self, turns: int) -> None:
        self._run(self.race.go_on(turns))

    @rule(design=st.sampled_from(("evening", "secret", "morning")), change=st.sampled_from(CHANGES), here=st.booleans())
    def write(self, design: str, change: str, here: bool) -> None:
        self._run(self.race.write(design, change, here=here))

    @rule(store=STORES, answers=st.booleans())
    def stall(self, store: str, answers: bool) -> None:
        proxy = self.race.proxies[store]
        (proxy.hold if answers else proxy.freeze)()

    @rule(question=QUESTIONS, change=st.sampled_from(CHANGES))
    def overtake(self, question: Question, change: str) -> None:
        """Write while answers are on their way back, and ask the same again."""

        async def overtaking() -> None:
            await self.race.send_off([question] * 5)
            design = "morning" if question.design == "spoilt" else question.design
            await self.race.write(design, change, here=False)
            for _ in range(5):
                self.race.ask(question)
            await self.race.go_on(10)
            self.race.thaw()

        self._run(overtaking())

    @rule(
        query=st.sampled_from(tuple(QUERIES)),
        asking=st.lists(st.tuples(st.sampled_from(VIEWERS), st.sampled_from(tuple(DESIGNS))), min_size=6, max_size=9),
        spoilt=st.booleans(),
        leaving=st.lists(st.integers(0, 8), max_size=4),
    )
    def crowd(self, query: str, asking: list[tuple[str, str]], spoilt: bool, leaving: list[int]) -> None:
        """Ask for different things in one way, and fail or leave while the answers are on their way back."""

        async def crowding() -> None:
            await self.race.send_off([Question(viewer, query, design) for viewer, design in asking])
            self.race.spoil(on=spoilt)
            for number in leaving:
                self.race.leave(number)
            await self.race.go_on(10)
            await self.race.settle()

        self._run(crowding())

    @rule()
    def resume(self) -> None:
        self.race.thaw()

    @rule(store=STORES)
    def reset(self, store: str) -> None:
        self.race.reset(store)

    @rule(on=st.booleans())
    def spoil(self, on: bool) -> None:
        self.race.spoil(on=on)

    @rule(number=st.integers(0, 20), turns=TURNS)
    def leave(self, number: int, turns: int) -> None:
        self.race.leave(number)
        self._run(self.race.go_on(turns))

    @rule()
    def settle(self) -> None:
        self._run(self.race.settle())

    def teardown(self) -> None:
        self._run(self.race.settle())


def test_everybody_is_answered_as_alone_whatever_happens_meanwhile(settings: Settings, clean_stores: None) -> None:
    with asyncio.Runner() as runner:
        context = racing(settings)
        Racing.runner, Racing.race = runner, runner.run(context.__aenter__())
        try:
            run_state_machine_as_test(Racing, settings=_BOUNDS)
        finally:
            runner.run(context.__aexit__(None, None, None))
    assert Racing.race.compared > 20
    for shared in (each.sharing for each in Racing.race.coalescers):
        assert shared.sent < shared.reads


_BOUNDS: Final = settings(
    max_examples=int(RACES or 4),
    stateful_step_count=20,
    derandomize=RACES is None,
    database=None,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
