"""Large replies of MongoDB are decoded in pieces: to the same documents, with turns of the event loop in between."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import CodecOptions, ObjectId
from bson.errors import InvalidBSON

from api.stores.stores import Stores
from documents import Design, decoding
from documents.repository import FEW, MongoRepository
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user

pytestmark = pytest.mark.anyio

CODEC: Any = CodecOptions(tz_aware=True)
LAYERS = [{"id": str(number), "position": {"x": 1.5, "y": None}, "tags": ["a", ["b"]]} for number in range(40)]
REPLY: dict[str, Any] = {
    "cursor": {
        "firstBatch": [
            {"_id": ObjectId(), "layers": LAYERS, "createdAt": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}
            for _ in range(20)
        ],
        "id": 0,
    },
    "empty": [],
    "ok": 1.0,
}
WHOLE = bson.encode(REPLY)


def _undecoded(reply: bytes) -> Any:
    options: Any = decoding.undecoded(CODEC)
    return bson.decode(reply, options)


async def _turns_while(work: asyncio.Task[Any]) -> int:
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    return turns


@pytest.mark.parametrize("piece", [1, 60, 1000, 5000, 10**6])
async def test_pieces_of_any_size_make_the_same_documents(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(decoding, "PIECE", piece)

    assert await decoding.decoded(_undecoded(WHOLE), CODEC) == bson.decode(WHOLE, CODEC)


async def test_others_have_turns_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = asyncio.create_task(decoding.decoded(_undecoded(WHOLE), CODEC))
    assert await _turns_while(at_once) == 1

    monkeypatch.setattr(decoding, "PIECE", len(WHOLE) // 10)
    in_pieces = asyncio.create_task(decoding.decoded(_undecoded(WHOLE), CODEC))
    assert await _turns_while(in_pieces) >= 9


async def test_a_broken_document_fails_as_it_does_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "PIECE", 100)
    broken = WHOLE.replace(b"\x01x\x00", b"\x20x\x00", 1)  # a type that there isn't
    with pytest.raises(InvalidBSON):
        bson.decode(broken, CODEC)

    with pytest.raises(InvalidBSON):
        await decoding.decoded(_undecoded(broken), CODEC)


async def test_large_reads_are_as_small_ones(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "PIECE", 100)
    owners = [await create_user(stores) for _ in range(2)]
    for owner in owners:
        for number in range(3):
            await create_design(stores, user_id=owner.id, name=f"Evening {number}")
    designs = MongoRepository(Design, stores.database)

    few = await designs.read(None, sort=["name"], limit=FEW)
    many = await designs.read(None, sort=["name"], limit=FEW + 1)
    fields = {"name": 1, "createdAt": 1}
    projected = await designs.read(fields, sort=["name"], limit=FEW + 1)
    pipeline: list[dict[str, Any]] = [
        {"$match": {"deletedAt": None}},
        {"$sort": {"_id": 1}},
        {"$limit": 9},
        {"$project": fields},
    ]
    by_owner = await designs.read_by_owner("userId", [str(owner.id) for owner in owners], pipeline)
    each = [await designs.read_by_owner("userId", [str(owner.id)], pipeline) for owner in owners]

    assert len(many) == 6
    assert many == few
    assert projected == [{name: design[name] for name in ("_id", "name", "createdAt")} for design in few]
    assert by_owner == each[0] | each[1]
    assert [len(found) for found in by_owner.values()] == [3, 3]
