"""Objects with a global id: thin views of stored rows and documents, without copies of their fields.

A view holds what the store returned (an SQL row or a MongoDB document) and only the columns that the operation needs;
fields are read off it by name when they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar, Self

import strawberry
from pydantic.alias_generators import to_camel

camel = cache(to_camel)


class View:
    """A GraphQL object over what a store returned: rows of PostgreSQL, unless it is one `of_documents`."""

    of_documents: ClassVar[bool] = False
    stored: strawberry.Private[Any]

    @classmethod
    def of(cls, stored: Any) -> Self:
        """The view of a row or a document."""
        view = cls.__new__(cls)
        view.stored = stored
        return view


class Part:
    """A GraphQL object embedded in a row or document; its source is that dictionary itself."""


def read(source: Any, name: str) -> Any:
    """The value of a plain field: of a row by attribute, of a document or a part of one by its camelCase key.

    This is the schema's default resolver. A key that a document lacks reads as null.
    """
    if isinstance(source, View):
        source = source.stored
    if isinstance(source, dict):
        return source.get("_id" if name == "id" and "_id" in source else camel(name))
    return getattr(source, name)


def read_all(sources: Sequence[Any], name: str) -> list[Any]:
    """`read` for every source. Where all of them are alike, as those of a level are, one look at them suffices."""
    kinds = set(map(type, sources))
    if len(kinds) == 1:
        kind = kinds.pop()
        if issubclass(kind, View):
            return read_all([source.stored for source in sources], name)
        if kind is not dict:
            return list(map(attrgetter(name), sources))
        if name != "id":
            key = camel(name)
            return [source.get(key) for source in sources]
    return [read(source, name) for source in sources]
