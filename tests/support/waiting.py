"""Waiting for what only asking tells."""

from __future__ import annotations

import asyncio

_PAUSE = 0.01


async def pause() -> None:
    """The time between two looks at a condition. Who asks a store again at once takes the processor from whoever is
    waited for, and another one for the store."""
    await asyncio.sleep(_PAUSE)
