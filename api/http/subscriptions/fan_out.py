"""One event for many: whoever asks the same, and is up to date, is handed it without a turn of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Final, Protocol

from api.errors import as_app_error
from api.live.feed import Follower
from api.live.following import Events, Happening, Start
from api.log import logger
from api.rights.viewer import ANONYMOUS, Viewer

AT_ONCE: Final = 50
"""Receivers that are handed an event before others get a turn, which takes about half a millisecond."""


class Receiver(Protocol):
    """A subscription that is up to date."""

    @property
    def events(self) -> Events[Any, Any]:
        """Its own events, for when it goes on by itself."""
        ...

    def known_viewer(self) -> Viewer | None:
        """Who it is for, where that needn't be looked up."""
        ...

    def audience(self, happening: Happening[Any, Any] | Start[Any, Any], viewer: Viewer) -> Hashable:
        """Receivers of the same one are told the same."""
        ...

    def answer(self, happening: Happening[Any, Any] | Start[Any, Any], viewer: Viewer) -> asyncio.Task[bytes | None]:
        """What its audience is told; None for nothing."""
        ...

    def take(self, content: bytes) -> bool:
        """Send this to the client, where that can be done at once. False: it wasn't."""
        ...


@dataclass(slots=True, eq=False)
class _Member:
    """A receiver that is handed events: until when, how far it is, and who it was for the last time."""

    receiver: Receiver
    stays: asyncio.Future[None]
    follower: Follower[Any, Any]
    viewer: Viewer = ANONYMOUS


class FanOut:
    """Those who ask one question and have everything so far.

    One of them that can't be handed an event at once, since its client doesn't read, its points are used up, or its
    session has to be looked up, goes on by itself with that event, until it is up to date again.
    """

    def __init__(self, events: Events[Any, Any]) -> None:
        self._events = events
        self._told = events.follower.position
        """Up to here, everyone who is here has been told."""
        self._members: dict[Receiver, _Member] = {}
        self._telling = asyncio.create_task(self._tell_all(), name="events for many", context=Context())

    def __len__(self) -> int:
        return len(self._members)

    @property
    def has_ended(self) -> bool:
        """Whether nobody is told anything any more."""
        return self._telling.done()

    async def stay(self, receiver: Receiver) -> None:
        """Hand on events, until the receiver has to go on by itself. It must be up to date."""
        stays = asyncio.get_running_loop().create_future()
        self._members[receiver] = _Member(receiver, stays, receiver.events.follower)
        try:
            await stays
        finally:
            del self._members[receiver]
            if not self._members:
                self._telling.cancel()

    async def _tell_all(self) -> None:
        try:
            while True:
                happening = await anext(self._events)
                self._told = self._events.follower.before
                await self._tell(happening)
                self._told = self._events.follower.position
        except Exception as error:  # each of them meets it, and ends as it has to
            if as_app_error(error) is None:
                logger.error("internal error", exc_info=error)
        finally:
            for member in self._members.values():
                self._release(member)

    async def _tell(self, happening: Any) -> None:
        place = self._events.follower.position.place
        audiences: dict[Hashable, list[_Member]] = {}
        audience: list[_Member] = []
        last: Viewer | None = None
        for member in self._members.values():
            if member.follower.position.place < place:  # else it has come since, and knows
                viewer = member.receiver.known_viewer()
                if viewer is None:
                    self._release(member)
                    continue
                if viewer is not last:  # those who aren't signed in are all the same one
                    audience = audiences.setdefault(member.receiver.audience(happening, viewer), [])
                    last = viewer
                member.viewer = viewer
                audience.append(member)
        together = [
            self._hand_out(happening, members)
            for members in audiences.values()
            if len(members) > 1 or len(audiences) == 1
        ]
        if len(together) < len(audiences):  # there is nothing to share for who is alone
            for members in audiences.values():
                if len(members) == 1:
                    self._release(members[0])
        await asyncio.gather(*together)

    async def _hand_out(self, happening: Any, members: Sequence[_Member]) -> None:
        position = self._events.follower.position
        answer = members[0].receiver.answer(happening, members[0].viewer)
        await asyncio.wait([answer])
        content = answer.result()
        for number, member in enumerate(members, 1):
            if not member.stays.done():
                if content is None or member.receiver.take(content):
                    member.follower.position = position
                else:
                    self._release(member)
            if not number % AT_ONCE:
                await asyncio.sleep(0)

    def _release(self, member: _Member) -> None:
        """Let it go on by itself, with the event that is being told unless it has that."""
        if not member.stays.done():
            if member.follower.position.place < self._told.place:
                member.follower.position = self._told
            member.stays.set_result(None)


class FanOuts:
    """Those of a process, by what is asked."""

    def __init__(self) -> None:
        self._open: dict[Hashable, FanOut] = {}

    async def stay(self, receiver: Receiver, question: Hashable) -> None:
        """Hand on events to a receiver that is up to date, until it has to go on by itself."""
        fan_out = self._open.get(question)
        if fan_out is None or fan_out.has_ended:
            fan_out = self._open[question] = FanOut(receiver.events.copy())
        try:
            await fan_out.stay(receiver)
        finally:
            if not fan_out and self._open.get(question) is fan_out:
                del self._open[question]
