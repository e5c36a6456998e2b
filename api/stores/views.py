"""Objects with a global id: thin views of stored rows and documents, without copies of their fields.

What a store returned (an SQL row or a MongoDB document) holds only the columns that the operation needs; fields are
read off it by name when they are asked for. A view is put around it only for resolvers, which are methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from operator import itemgetter
from typing import Any, ClassVar, Self

import asyncpg
import strawberry
from pydantic.alias_generators import to_camel

camel = cache(to_camel)


class View:
    """A GraphQL object over what a store returned: a row of PostgreSQL, a document of MongoDB."""

    sources: ClassVar[tuple[type, ...]] = (asyncpg.Record,)
    """The class of what is stored, and what declared fields give in place of a view."""
    stored: strawberry.Private[Any]

    @classmethod
    def of(cls, stored: Any) -> Self:
        """The view of a row or a document."""
        view = cls.__new__(cls)
        view.stored = stored
        return view

    @classmethod
    def from_source(cls, source: Any) -> Any:
        """What resolvers are called with: the view, also of what is one already."""
        return source if isinstance(source, View) else cls.of(source)


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
    """`read` for every source. Those of a level are alike, so the first one tells how."""
    kind = type(sources[0]) if sources else dict
    try:
        if kind is dict:
            if name == "id":
                return [source["_id"] if "_id" in source else source.get("id") for source in sources]
            key = camel(name)
            return [source.get(key) for source in sources]
        if issubclass(kind, asyncpg.Record):
            return list(map(itemgetter(name), sources))  # quicker than the attribute
    except (AttributeError, KeyError, TypeError):
        pass  # they aren't alike
    return [read(source, name) for source in sources]
