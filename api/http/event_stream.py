"""Answers as server-sent events: the distinct connections mode of the graphql-sse protocol."""

from __future__ import annotations

from typing import Final

EVENT_STREAM: Final = "text/event-stream"


def event_stream(content: bytes) -> bytes:
    """The stream of an operation with one result, whose JSON this is.

    The end has empty data, since browsers drop events without any. JSON of ours has no line breaks.
    """
    return b"event: next\ndata: " + content + b"\n\nevent: complete\ndata:\n\n"
