"""Bodies made smaller where the client takes it (`Accept-Encoding`): zstd before gzip, and nothing that is small."""

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
"""Bytes that go into one packet anyway: fewer aren't compressed."""
ASIDE: Final = 32 * 1024
"""Bytes from which a thread does it: the libraries let go of the interpreter, and so many take less than a ms."""
_REMEMBERED: Final = 200
"""Characters of an Accept-Encoding header that is read; no client's is longer."""

ENCODERS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "zstd": partial(zstd.compress, level=3),
    "gzip": partial(gzip.compress, compresslevel=4, mtime=0),
}
"""By their names in HTTP, the better one first."""


@lru_cache(256)
def encoding_of(accepted: str) -> str | None:
    """The encoding to answer with, None for the body as it is."""
    if len(accepted) > _REMEMBERED:
        return None
    allowed: dict[str, bool] = {}
    for entry in accepted.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        allowed[name] = not any(part.startswith("q=") and not part[2:].strip("0.") for part in parameters)
    anything = allowed.get("*", False)
    # whoever takes anything has named nothing: what everybody can read
    return next((name for name in ENCODERS if allowed.get(name, anything and name == "gzip")), None)


async def compressed(content: bytes, encoding: str) -> bytes:
    """The content in this encoding. The event loop goes on meanwhile where there is much of it."""
    encode = ENCODERS[encoding]
    return await asyncio.to_thread(encode, content) if len(content) >= ASIDE else encode(content)
