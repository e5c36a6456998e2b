"""Global ids: opaque to clients, `Type:key` in base64 underneath. The key is a UUID or, for designs, an ObjectId."""

from __future__ import annotations

import base64
import binascii
from binascii import b2a_base64
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from bson import ObjectId
from bson.errors import InvalidId

from api.errors import BadUserInput

NODE_TYPES: Final = ("User", "Avatar", "CatalogItem", "Design")
_MAX_LENGTH: Final = 128

Key = UUID | ObjectId


def encode_id(type_name: str, key: object) -> str:
    """The global id of the object of this type with this key."""
    return base64.b64encode(f"{type_name}:{key}".encode()).decode()


def encode_ids(type_name: str, keys: Iterable[object]) -> list[str]:
    """`encode_id` of many keys."""
    texts = list(map(str, keys))
    if not texts:
        return []
    # all at once: what lies at a multiple of three bytes is encoded as if it were alone, zero bytes in place of padding
    prefix, length = f"{type_name}:", len(type_name) + 1 + len(texts[0])
    padding = -length % 3
    if set(map(len, texts)) != {len(texts[0])}:
        return [encode_id(type_name, text) for text in texts]
    encoded = b2a_base64((prefix + ("\0" * padding + prefix).join(texts) + "\0" * padding).encode()).decode()
    step = (length + padding) // 3 * 4
    if not padding:
        return [encoded[start : start + step] for start in range(0, len(texts) * step, step)]
    return [encoded[start : start + step - padding] + "=" * padding for start in range(0, len(texts) * step, step)]


def decode_id(global_id: str) -> tuple[str, Key]:
    """Type name and key of a global id.

    Raises BadUserInput for everything that `encode_id` can't have made.
    """
    if len(global_id) <= _MAX_LENGTH:
        try:
            type_name, _, key = base64.b64decode(global_id, validate=True).decode("ascii").partition(":")
        except (binascii.Error, ValueError):
            type_name = key = ""
        if type_name in NODE_TYPES and (parsed := _parse_key(type_name, key)) is not None:
            return type_name, parsed
    raise BadUserInput(f"'{global_id[:64]}' is not a valid id.")


def decode_id_of(type_name: str, global_id: str) -> Key:
    """The key of a global id that must be of this type; raises BadUserInput where it is of another."""
    actual, key = decode_id(global_id)
    if actual != type_name:
        raise BadUserInput(f"'{global_id}' is an id of type {actual}, not {type_name}.")
    return key


def _parse_key(type_name: str, key: str) -> Key | None:
    try:
        parsed: Key = ObjectId(key) if type_name == "Design" else UUID(key)
    except (ValueError, InvalidId):
        return None
    return parsed if str(parsed) == key else None  # one id an object: no other spelling of the same UUID
