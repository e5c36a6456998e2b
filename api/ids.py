"""Global ids: opaque to clients, `Type:key` in base64 underneath.

The key of a row is a UUID, that of a document an ObjectId; what is recorded of a document has its key and a number.
"""

from __future__ import annotations

import base64
import binascii
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from bson import ObjectId
from bson.errors import InvalidId

from api.errors import BadId

Key = UUID | ObjectId
Parse = Callable[[str], Any]
"""From the text of a key to the key, None for a text that no key has."""

OBJECTS: Final[dict[str, Parse]] = {}
"""Types of objects, which inputs may name, and how their keys are read. `api.schema` fills this, from the domains."""
RECORDS: Final[dict[str, Parse]] = {}
"""The same of what was recorded of objects, which no input names."""
_MAX_LENGTH: Final = 128
_INVALID: Final = "This is not a valid id."
_MAX_NUMBER: Final = 2**31 - 1


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
    """Type name and key of the global id of an object.

    Raises BadId for everything that `encode_id` can't have made of one.
    """
    return _parsed(global_id, OBJECTS)


def decode_node_id(global_id: str) -> tuple[str, Any]:
    """The same of any node, what is recorded of objects included."""
    return _parsed(global_id, {**OBJECTS, **RECORDS})


def _parsed(global_id: str, types: Mapping[str, Parse]) -> tuple[str, Any]:
    type_name, text = _decoded(global_id)
    if (parse := types.get(type_name)) is not None and (key := parse(text)) is not None:
        return type_name, key
    raise BadId(_INVALID)


def _decoded(global_id: str) -> tuple[str, str]:
    if len(global_id) <= _MAX_LENGTH:
        try:
            type_name, _, key = base64.b64decode(global_id, validate=True).decode("ascii").partition(":")
            return type_name, key
        except (binascii.Error, ValueError):
            pass
    return "", ""


def decode_id_of(type_name: str, global_id: str) -> Key:
    """The key of a global id that must be of this type; raises BadId where it is of another."""
    actual, key = decode_id(global_id)
    if actual != type_name:
        raise BadId(f"This is an id of type {actual}, not {type_name}.")
    return key


def uuid_key(text: str) -> UUID | None:
    """The key of a row."""
    try:
        key = UUID(text)
    except ValueError:
        return None
    return key if str(key) == text else None  # one id an object: no other spelling of the same UUID


def object_id_key(text: str) -> ObjectId | None:
    """The key of a document."""
    try:
        key = ObjectId(text)
    except InvalidId:
        return None
    return key if str(key) == text else None


def numbered_key(text: str) -> tuple[Any, ...] | None:
    """The key of what is recorded of a document: the document's, and numbers from 1, as `key:number:number`."""
    document, *texts = text.split(":")
    key, numbers = object_id_key(document), list(map(_number, texts))
    return None if key is None or None in numbers else (key, *numbers)


def _number(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 11 else 0
    return number if 1 <= number <= _MAX_NUMBER and str(number) == text else None
