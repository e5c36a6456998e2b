"""Following what somebody asks for: the events of one subscription, each worked out when it is sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Hashable
from dataclasses import dataclass
from typing import Any, Generic, Protocol

from api.live.feed import Feed
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


async def follow(
    feed: Feed[P, C], question: LiveQuestion[P, C], after: str | None
) -> AsyncGenerator[Happening[P, C] | Start[P, C], None]:
    """The events of a question after this token; None: from now on. It has begun when this returns.

    Raises BadUserInput for what is no token of this question, ResumeTokenExpired, and what the store raises.
    """
    events = _events(feed, question, None if after is None else question.tokens.read(after))
    await anext(events)
    return events  # type: ignore[return-value]  # None came first, and no other will


async def _events(
    feed: Feed[P, C], question: LiveQuestion[P, C], after: P | None
) -> AsyncGenerator[Happening[P, C] | Start[P, C] | None, None]:
    beginning = await feed.enter(after)
    try:
        yield None
        if after is None:
            yield Start(question, question.tokens.of(beginning.place))
        async for change in feed.changes(beginning):
            if question.concerns(change):
                yield Happening(question, change)
    finally:
        await feed.leave()
