"""Compressed responses, for clients that accept them: zstd, else gzip. Small bodies are sent as they are."""

from __future__ import annotations

import asyncio
import gzip
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Final

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEAST: Final = 1400
"""Bytes; smaller bodies aren't compressed, since they fit into one packet anyway."""
ASIDE: Final = 32 * 1024
"""Bytes; larger bodies are compressed in a thread. Smaller ones take less than a millisecond."""
_REMEMBERED: Final = 200
"""The most characters of an Accept-Encoding header that is read; no client sends more."""

ENCODERS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "zstd": partial(zstd.compress, level=3),
    "gzip": partial(gzip.compress, compresslevel=4, mtime=0),
}
"""The encodings by their HTTP names, the better one first."""


@lru_cache(256)
def encoding_of(accepted: str) -> str | None:
    """The encoding of the response; None for an uncompressed body."""
    if len(accepted) > _REMEMBERED:
        return None
    allowed: dict[str, bool] = {}
    for entry in accepted.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        allowed[name] = not any(part.startswith("q=") and not part[2:].strip("0.") for part in parameters)
    anything = allowed.get("*", False)
    # `*` names no encoding, so the one that every client knows is used
    return next((name for name in ENCODERS if allowed.get(name, anything and name == "gzip")), None)


async def compressed(content: bytes, encoding: str) -> bytes:
    """The content in this encoding. Large contents are compressed in a thread, so that the event loop goes on."""
    encode = ENCODERS[encoding]
    return await asyncio.to_thread(encode, content) if len(content) >= ASIDE else encode(content)
