"""A proxy for MongoDB's wire protocol that answers a read which it has seen before from memory.

SecantusDB reads every match of a find before it sorts and limits, so a page of designs takes it tens to hundreds of
milliseconds where MongoDB takes one: with it in the path, one measures how servers wait. Behind this proxy the driver
still encodes, sends, receives and decodes whole messages; only the wait for the store is gone, for the measured server
and the baseline alike. What is measured with it says nothing about MongoDB, and it must not be used with writes: a
reply never grows old.

    python -m tests.benchmarks.replay PORT UPSTREAM_PORT
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys
from collections import Counter

import bson
import uvloop

OP_MSG = 2013
READS = frozenset(("find", "aggregate", "count", "distinct", "ping"))
PER_REQUEST = frozenset(("lsid", "$clusterTime", "txnNumber", "maxTimeMS"))
"""Fields that differ between two commands that ask the same."""
HEADER = struct.Struct("<iiii")
BODY = HEADER.size + 5
"""Where the document of a message with one section begins: behind the flags and the kind of section."""


class Replay:
    """The replies so far, and how often each command came."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._replies: dict[bytes, bytes] = {}
        self.commands: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a driver, which has one of its own to the server."""
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        asked: dict[int, bytes] = {}
        answers = asyncio.create_task(self._forward_replies(server_reader, writer, asked))
        try:
            while True:
                message = await _message(reader)
                request = HEADER.unpack_from(message)[1]
                question = self._question(message)
                if question is None:
                    server_writer.write(message)
                elif question in self._replies:
                    writer.write(_answering(self._replies[question], request))
                else:
                    asked[request] = question
                    server_writer.write(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            answers.cancel()
            server_writer.close()
            writer.close()

    async def _forward_replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[int, bytes]
    ) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                message = await _message(reader)
                question = asked.pop(HEADER.unpack_from(message)[2], None)
                if question is not None and _is_whole(bson.decode(message[BODY:])):
                    self._replies[question] = message
                writer.write(message)
        writer.close()

    def _question(self, message: bytes) -> bytes | None:
        """What a message asks, where it is a read in one section; else None."""
        length, _, _, code = HEADER.unpack_from(message)
        if code != OP_MSG or message[HEADER.size : BODY] != bytes(5):
            return None
        if BODY + struct.unpack_from("<i", message, BODY)[0] != length:
            return None
        command = bson.decode(message[BODY:])
        name = next(iter(command))
        if name not in READS:
            return None
        self.commands[name] += 1
        return bson.encode({name: value for name, value in command.items() if name not in PER_REQUEST})


def _is_whole(reply: dict[str, object]) -> bool:
    """Whether it is a success, and no further command is needed for the rest."""
    cursor = reply.get("cursor")
    return reply.get("ok") == 1 and (not isinstance(cursor, dict) or cursor.get("id") == 0)


def _answering(reply: bytes, request: int) -> bytes:
    return reply[:8] + struct.pack("<i", request) + reply[12:]


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(struct.unpack("<i", head)[0] - 4)


async def main(port: int, upstream: int) -> None:
    server = await asyncio.start_server(Replay(upstream).serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
