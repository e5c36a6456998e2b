"""Validators that all domains share: for names, texts, addresses and ids."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainValidator, StringConstraints, model_serializer
from pydantic.alias_generators import to_camel

from api.errors import BadUserInput
from api.folding import composed
from api.ids import decode_id_of

UNGIVEN: Final[Any] = None
"""The default of fields that may be left out but not be null."""
_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, ends of lines and paragraphs, and marks that change the direction of writing."""


class Embedded(BaseModel):
    """An input that is stored as a JSON object with camelCase keys, without those that are null."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    @classmethod
    def stored_names(cls) -> list[str]:
        """The keys of the object."""
        return [to_camel(name) for name in cls.model_fields]

    def given_names(self) -> list[str]:
        """The keys that the client gave, null or not."""
        return [to_camel(name) for name in self.model_fields_set]

    @model_serializer
    def _stored(self) -> dict[str, Any]:
        return {to_camel(name): value for name, value in self if value is not None}


def _without_null(text: str) -> str:
    if "\x00" in text:
        raise ValueError("can't contain a null character")
    return composed(text)


def _one_line(longest: int, text: str) -> str:
    text = text.strip()
    # checked before and after composing, since some letters become two
    if not 1 <= len(text) <= longest or len(text := composed(text)) > longest:
        raise ValueError(f"must have 1 to {longest} characters")
    if _UNSEEN.search(text):
        raise ValueError("can't contain control characters, or such as turn the direction of writing")
    return text


def one_line(longest: int) -> AfterValidator:
    """A text that is shown in one line: 1 to `longest` characters, without blanks around it, in NFC."""
    return AfterValidator(partial(_one_line, longest))


def _web_address(text: str) -> str:
    try:
        address = urlsplit(text)
    except ValueError:  # brackets without an IPv6 address in them
        address = urlsplit("")
    if address.scheme not in ("http", "https") or not address.hostname or " " in text or not text.isprintable():
        raise ValueError("must be an address that begins with http:// or https://")
    return text


def _key_of(type_name: str) -> Callable[[Any], UUID]:
    def parse(value: Any) -> UUID:
        try:
            key = decode_id_of(type_name, str(value))
        except BadUserInput as error:
            raise ValueError(error.message) from None
        assert isinstance(key, UUID)
        return key

    return parse


NoNull: Final = AfterValidator(_without_null)
Name = Annotated[str, one_line(255)]
Tag = Annotated[str, one_line(64)]
Description = Annotated[str, StringConstraints(max_length=10_000), NoNull]
Url = Annotated[str, StringConstraints(max_length=2048), AfterValidator(_web_address)]

UserKey = Annotated[UUID, PlainValidator(_key_of("User"))]
AvatarKey = Annotated[UUID, PlainValidator(_key_of("Avatar"))]
CatalogItemKey = Annotated[UUID, PlainValidator(_key_of("CatalogItem"))]
