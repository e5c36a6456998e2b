"""Many keys at once mean what each of them means alone."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from asyncpg.pgproto import pgproto
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from api.ids import encode_id, encode_ids
from api.uuids import uuid_keys

WRONG = (
    "",
    "x",
    "00000000-0000-4000-8000-00000000000g",
    "00000000-0000-4000-8000-0000000000 0",
    "00000000-0000-4000-8000-00000000000-",
    "00000000,0000-4000-8000-000000000000",
    "00000000-0000-4000-8000-000000000000,00000000-0000-4000-8000-000000000000",
    "00000000-0000-4000-8000-00000000000\u0660",
)


def one(key: UUID | str) -> bytes | None:
    try:
        return key.bytes if isinstance(key, UUID) else pgproto.UUID(key).bytes
    except ValueError:
        return None


texts = st.uuids().flatmap(
    lambda id: st.sampled_from([str(id), str(id).upper(), id.hex, f"{{{id}}}", f"urn:uuid:{id}"])
)
keys = st.uuids().map(str) | texts | st.uuids() | st.sampled_from(WRONG) | st.text(max_size=40)


@given(st.lists(keys, min_size=1, max_size=5))
def test_many_keys_are_read_as_each_of_them_alone(given_keys: list[UUID | str]) -> None:
    raw, text = uuid_keys(given_keys)
    assert raw == [one(key) for key in given_keys]
    known = [key for key in raw if key is not None]
    assert [UUID(part).bytes for part in text.split(",") if part] == known


@pytest.mark.parametrize("wrong", WRONG)
def test_one_wrong_key_takes_no_other_along(wrong: str) -> None:
    good = str(uuid4())
    assert uuid_keys([good, wrong, good]) == ([UUID(good).bytes, None, UUID(good).bytes], f"{good},{good}")


@given(
    st.sampled_from(["User", "Avatar", "CatalogItem", "Design", "A", "AB", "ABC"]), st.lists(st.uuids() | st.integers())
)
def test_many_ids_are_encoded_as_each_of_them_alone(name: str, given_keys: list[UUID | int]) -> None:
    assert encode_ids(name, given_keys) == [encode_id(name, key) for key in given_keys]


def test_ids_of_documents_are_encoded_as_each_of_them_alone() -> None:
    ids = [ObjectId() for _ in range(3)]
    assert encode_ids("Design", ids) == [encode_id("Design", id) for id in ids]
