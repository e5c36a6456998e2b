"""A proxy for MongoDB's wire protocol that answers a read which it has seen before from memory.

SecantusDB reads every match of a find before it sorts and limits, so a page of designs takes it tens to hundreds of
milliseconds where MongoDB takes one: with it in the path, one measures how servers wait. Behind this proxy the driver
still encodes, sends, receives and decodes whole messages; only the wait for the store is gone, for the measured server
and the baseline alike. What is measured with it says nothing about MongoDB, and it must not be used with writes: a
reply never grows old.

Reads of several keys are remembered a key each, since which keys are read together depends on who comes at the same
time.

    python -m tests.benchmarks.replay PORT UPSTREAM_PORT
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import bson
import uvloop
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

OP_MSG = 2013
READS = frozenset(("find", "aggregate", "count", "distinct", "ping"))
PER_REQUEST = frozenset(("lsid", "$clusterTime", "txnNumber", "maxTimeMS"))
"""Fields that differ between two commands that ask the same."""
HEADER = struct.Struct("<iiii")
BODY = HEADER.size + 5
"""Where the document of a message with one section begins: behind the flags and the kind of section."""


_RAW: Final = CodecOptions(document_class=RawBSONDocument)
_FLAGS: Final = bytes(5)
"""What stands between the header and the document of a message with one section."""


class Question(NamedTuple):
    """What a read asks for: the same `rest` of each of the `keys`, or the rest alone where there are no keys."""

    rest: bytes
    keys: tuple[Any, ...] | None


class Replay:
    """The replies so far, and how often each command came."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._replies: dict[bytes, bytes] = {}
        self._of_keys: dict[tuple[bytes, Any], list[RawBSONDocument]] = {}
        self.commands: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a driver, which has one of its own to the server."""
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        asked: dict[int, Question] = {}
        answers = asyncio.create_task(self._forward_replies(server_reader, writer, asked))
        try:
            while True:
                message = await _message(reader)
                request = HEADER.unpack_from(message)[1]
                question = self._question(message)
                reply = None if question is None else self._known(question)
                if reply is not None:
                    writer.write(_answering(reply, request))
                    continue
                if question is not None:
                    asked[request] = question
                    message = _with_range_first(message)
                server_writer.write(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            answers.cancel()
            server_writer.close()
            writer.close()

    async def _forward_replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[int, Question]
    ) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                message = await _message(reader)
                question = asked.pop(HEADER.unpack_from(message)[2], None)
                if question is not None:
                    self._learn(question, message)
                writer.write(message)
        writer.close()

    def _question(self, message: bytes) -> Question | None:
        """What a message asks, where it is a read in one section; else None."""
        length, _, _, code = HEADER.unpack_from(message)
        if code != OP_MSG or message[HEADER.size : BODY] != _FLAGS:
            return None
        if BODY + struct.unpack_from("<i", message, BODY)[0] != length:
            return None
        command = bson.decode(message[BODY:])
        name = next(iter(command))
        if name not in READS:
            return None
        self.commands[name] += 1
        keys = _take_keys(command)
        return Question(bson.encode({name: value for name, value in command.items() if name not in PER_REQUEST}), keys)

    def _known(self, question: Question) -> bytes | None:
        """The reply, where all of it is known."""
        if question.keys is None:
            return self._replies.get(question.rest)
        found: list[RawBSONDocument] = []
        for key in question.keys:
            documents = self._of_keys.get((question.rest, key))
            if documents is None:
                return None
            found += documents
        cursor = {"firstBatch": found, "id": bson.Int64(0), "ns": "replayed.designs"}
        body = bson.encode({"cursor": cursor, "ok": 1.0})
        return HEADER.pack(BODY + len(body), 0, 0, OP_MSG) + _FLAGS + body

    def _learn(self, question: Question, message: bytes) -> None:
        reply = bson.decode(message[BODY:], _RAW)
        if not _is_whole(reply):
            return
        if question.keys is None:
            self._replies[question.rest] = message
            return
        found: dict[Any, list[RawBSONDocument]] = {key: [] for key in question.keys}
        for document in reply["cursor"]["firstBatch"]:
            found[document["_id"]].append(document)
        self._of_keys.update({(question.rest, key): documents for key, documents in found.items()})


def _take_keys(command: dict[str, Any]) -> tuple[Any, ...] | None:
    """The keys that a command reads, which are taken out of it: ids of a find, or owners of an aggregate."""
    if "find" in command and "limit" not in command:
        key = command["filter"].pop("_id", None)
        if key is not None:
            return tuple(key["$in"]) if isinstance(key, dict) else (key,)  # no other operator is asked for
    if "aggregate" in command and (stages := command["pipeline"]) and "$documents" in stages[0]:
        return tuple(document["_id"] for document in stages.pop(0)["$documents"])
    return None


def _with_range_first(message: bytes) -> bytes:
    """The same read with a range of time before the other conditions: SecantusDB takes a tenth of the time for it."""
    command = bson.decode(message[BODY:])
    conditions: dict[str, dict[str, Any]] = {}
    pending: list[dict[str, Any]] = [command.get("filter", {})]
    while pending:
        for name, value in pending.pop().items():
            if name == "$and":
                pending += value
                continue
            given = value if isinstance(value, dict) else {"$eq": value}
            known = conditions.setdefault(name, {})
            if name.startswith("$") or any(known.get(operator, it) != it for operator, it in given.items()):
                return message
            known.update(given)
    if "createdAt" not in conditions:
        return message
    command["filter"] = {"createdAt": conditions.pop("createdAt"), **conditions}
    body = bson.encode(command)
    return struct.pack("<i", BODY + len(body)) + message[4:BODY] + body


def _is_whole(reply: Mapping[str, Any]) -> bool:
    """Whether it is a success, and no further command is needed for the rest."""
    cursor = reply.get("cursor")
    return reply.get("ok") == 1 and (cursor is None or cursor["id"] == 0)


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
