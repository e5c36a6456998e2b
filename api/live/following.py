"""Following what somebody asks for: the events of one subscription, each worked out when it is sent."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self

from api.live.feed import Feed, Follower
from api.live.source import C, C_contra, P
from api.live.tokens import ResumeTokens
from api.rights.viewer import Viewer


class LiveQuestion(Protocol[P, C_contra]):
    """What somebody follows, and what a change is to them."""

    @property
    def tokens(self) -> ResumeTokens[P]: ...

    def concerns(self, change: C_contra) -> bool:
        """Whether a change may be something to anybody who asks this."""
        ...

    def start(self, token: str) -> Any:
        """What the first event shows."""
        ...

    def answer(self, change: C_contra, viewer: Viewer) -> Any | None:
        """What a change is to this viewer; None where it is nothing."""
        ...

    def audience(self, change: C_contra, viewer: Viewer, types: frozenset[str]) -> Hashable:
        """Who sees the same of a change, where only objects of these types are asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Happening(Generic[P, C]):
    """A change, for whoever asks this question."""

    question: LiveQuestion[P, C]
    change: C

    @property
    def answers(self) -> dict[Any, Any]:
        return self.change.answers

    def audience(self, viewer: Viewer, types: frozenset[str]) -> Hashable:
        return self.question.audience(self.change, viewer, types)

    def seen_by(self, viewer: Viewer) -> Any | None:
        return self.question.answer(self.change, viewer)


@dataclass(frozen=True, slots=True)
class Start(Generic[P, C]):
    """The first event."""

    question: LiveQuestion[P, C]
    token: str

    @property
    def answers(self) -> dict[Any, Any]:
        return {}

    def audience(self, *_: object) -> Hashable:
        return None

    def seen_by(self, _: Viewer) -> Any:
        return self.question.start(self.token)


class Events(Generic[P, C]):
    """The events of a question for one follower, for ever. Must be closed in the end."""

    def __init__(
        self, feed: Feed[P, C], question: LiveQuestion[P, C], follower: Follower[P, C], first: Start[P, C] | None
    ) -> None:
        self._feed, self._question, self._first = feed, question, first
        self.follower = follower
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Happening[P, C] | Start[P, C]:
        """The next event.

        Raises TooFarBehind, ResumeTokenExpired where the store lost what comes next, and StoreUnavailable.
        """
        if self._first is not None:
            first, self._first = self._first, None
            return first
        while True:
            change = await self.follower.next()
            if self._question.concerns(change):
                return Happening(self._question, change)

    @property
    def is_current(self) -> bool:
        """Whether no event follows by now."""
        return self._first is None and self.follower.is_current

    def copy(self) -> Events[P, C]:
        """The events that follow by now, where none does. They last as long as these ones, and needn't be closed."""
        return Events(self._feed, self._question, self.follower.copy(), None)

    async def aclose(self) -> None:
        """Follow no longer."""
        if not self._closed:
            self._closed = True
            await self._feed.leave()


async def follow(feed: Feed[P, C], question: LiveQuestion[P, C], after: str | None) -> Events[P, C]:
    """The events of a question after this token; None: from now on. It has begun when this returns.

    Raises BadUserInput for what is no token of this question, ResumeTokenExpired, and what the store raises.
    """
    follower = await feed.enter(None if after is None else question.tokens.read(after))
    first = Start(question, question.tokens.of(follower.position.place)) if after is None else None
    return Events(feed, question, follower, first)
