"""Answers as server-sent events: the distinct connections mode of the graphql-sse protocol."""

from __future__ import annotations

from typing import Final

END: Final = b"event: complete\ndata:\n\n"
"""The end of a stream. It has empty data, since browsers drop events without any."""
ALIVE: Final = b":\n\n"
"""A comment, for whoever waits."""


def event(content: bytes) -> bytes:
    """The event of a result, whose JSON this is. JSON of ours has no line breaks."""
    return b"event: next\ndata: " + content + b"\n\n"


def event_stream(content: bytes) -> bytes:
    """The stream of an operation with one result."""
    return event(content) + END
