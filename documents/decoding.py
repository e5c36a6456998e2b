"""Decoding large replies of MongoDB in pieces, with turns of the event loop between them.

The driver decodes a whole reply at once, which takes tens of milliseconds for megabytes. A reply by the options of
`undecoded` is only cut into its parts; what `decoded` makes of it is what the driver would have made at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, cast

import bson
from bson import CodecOptions
from bson.raw_bson import RawBSONDocument

Codec = CodecOptions[dict[str, Any]]

PIECE: Final = 256 * 1024
"""Bytes that are decoded in one step of the event loop, in about 2 ms. Replies up to this size are decoded at once."""


def undecoded(codec: Codec) -> Codec:
    """Options by which a reply is left as it was sent: it is a RawBSONDocument."""
    return cast("Codec", codec.with_options(document_class=RawBSONDocument))


async def decoded(reply: Mapping[str, Any], codec: Codec) -> dict[str, Any]:
    """Such a reply by these options. Raises InvalidBSON where a document in it is broken."""
    return cast("dict[str, Any]", await _Decoding(codec).of(reply))


class _Decoding:
    """Of one reply. `left` is how many bytes the step of the loop may still take."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._left = PIECE

    async def of(self, value: Any) -> Any:
        if isinstance(value, list):
            return [await self.of(part) for part in value]
        if not isinstance(value, RawBSONDocument):
            return value
        size = len(value.raw)
        if size > PIECE:
            return {name: await self.of(part) for name, part in value.items()}
        if size > self._left:
            await asyncio.sleep(0)
            self._left = PIECE
        self._left -= size
        return bson.decode(value.raw, self._codec)
