"""Views: GraphQL objects over stored rows and documents, without copies of their fields.

A row or a document has only the columns that the operation needs. Fields are read off it by name when they are asked
for. It is only wrapped into a view for resolvers, since these are methods.
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
    """A GraphQL object over a row of PostgreSQL or a document of MongoDB."""

    sources: ClassVar[tuple[type, ...]] = (asyncpg.Record,)
    """The classes of rows or documents that declared fields may give in place of a view."""
    stored: strawberry.Private[Any]

    @classmethod
    def of(cls, stored: Any) -> Self:
        """The view of a row or a document."""
        view = cls.__new__(cls)
        view.stored = stored
        return view

    @classmethod
    def from_source(cls, source: Any) -> Any:
        """The view that resolvers are called with; a source that is a view already stays one."""
        return source if isinstance(source, View) else cls.of(source)


class Part:
    """A GraphQL object embedded in a row or document. Its source is the embedded dictionary itself."""


def read(source: Any, name: str) -> Any:
    """The value of a plain field: an attribute of a row, or the camelCase key of a document or of a part of it.

    This is the schema's default resolver. A key that a document lacks is null.
    """
    if isinstance(source, View):
        source = source.stored
    if isinstance(source, dict):
        return source.get("_id" if name == "id" and "_id" in source else camel(name))
    return getattr(source, name)


def read_all(sources: Sequence[Any], name: str) -> list[Any]:
    """`read` for every source. The sources of a level usually have one class, so the first one decides how."""
    kind = type(sources[0]) if sources else dict
    try:
        if kind is dict:
            if name == "id":
                return [source["_id"] if "_id" in source else source.get("id") for source in sources]
            key = camel(name)
            return [source.get(key) for source in sources]
        if issubclass(kind, asyncpg.Record):
            return list(map(itemgetter(name), sources))  # faster than the attribute
    except (AttributeError, KeyError, TypeError):
        pass  # they have different classes
    return [read(source, name) for source in sources]
