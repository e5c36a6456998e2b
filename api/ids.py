"""Global ids: opaque to clients, `Type:key` in base64 underneath. The key is a UUID or, for designs, an ObjectId."""

from __future__ import annotations

import base64
import binascii
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
