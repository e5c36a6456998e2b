"""What subscriptions of a domain's changes share: their arguments, and how they begin."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any

import strawberry

from api.errors import BadUserInput
from api.fields.context import Context
from api.lists.conditions import Condition
from api.lists.filters import condition_of
from api.live.feed import Feed
from api.live.following import LiveQuestion, follow
from api.live.live import Live

After = Annotated[
    str | None,
    strawberry.argument(description="The `resumeToken` of the last event that was received: go on after it."),
]
"""Where a subscription goes on; None: from now on."""


def followed_condition(filter: Any) -> Condition:
    """The condition of a filter of lists, for what is followed. Raises BadUserInput where it asks for `deleted`."""
    if filter is not None and filter.deleted not in (None, strawberry.UNSET):
        raise BadUserInput("deleted is for lists: DELETED and RESTORED are events of what isn't.")
    return condition_of(filter)


def live_of(info: strawberry.Info[Context]) -> Live:
    """The live updates of the process."""
    assert info.context.live is not None  # without them, no subscription is opened
    return info.context.live


async def followed(
    feed: Feed[Any, Any], question: LiveQuestion[Any, Any], after: str | None
) -> AsyncGenerator[Any, None]:
    """The events of a question. What each of them is to the viewer is worked out when it is sent.

    Raises BadUserInput for what is no token of this question, ResumeTokenExpired, and what the store raises.
    """
    return await follow(feed, question, after)  # type: ignore[return-value]  # which Strawberry wants to see
