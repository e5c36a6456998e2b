"""Reads of a PostgreSQL table for the loaders: rows by key, pages, counts and facets, with one
statement for each batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement

from api.lists.conditions import Condition, shape_of
from api.lists.facet_statements import answers_of, facets_shape, select_facets
from api.lists.facets import Answer, FacetKey, by_facet_question, facets_of
from api.lists.keyset import (
    Table,
    by_keys,
    by_keys_of_owners,
    count,
    counts_by_owner,
    numbered_pages_by_owner,
    page,
    page_shape,
    pages_by_owner,
)
from api.lists.owned_keys import with_owners
from api.lists.pagination import PageRequest
from api.stores.stores import Stores
from api.uuids import uuid_keys
from models.base import Base
from models.distribution import distribution
from models.statements import Record

PageKey = tuple[str | None, Any, PageRequest]
"""The key of a page: the column of its owner, the owner (both None for a list of everything), and the request."""

CountKey = tuple[str | None, Any, Condition]

G = TypeVar("G", bound=Hashable)
Keyed = tuple[str | None, Any, G]


def by_question(keys: Sequence[Keyed[G]]) -> Mapping[tuple[str | None, G], list[Any]]:
    """The owners of each distinct question. One statement answers a question for all its owners."""
    questions: dict[tuple[str | None, G], list[Any]] = defaultdict(list)
    for by, owner, question in keys:
        questions[by, question].append(owner)
    return questions


class RowReader:
    """Reads the table of a model. `special` adds filtered values that are no columns, such as tags inside JSONB."""

    def __init__(self, model: type[Base], special: Mapping[str, ColumnElement[Any]] | None = None) -> None:
        columns = {column.key: column for column in model.__table__.columns}
        self._table = Table({**columns, **(special or {})})
        self._distribution = distribution(model)

    async def by_id(self, stores: Stores, keys: Sequence[UUID | str], names: frozenset[str]) -> list[Record | None]:
        """The row of each key, with its `deleted_at`, since deleted rows are included; None where there is no row."""
        if self._distribution is not None and stores.distribution.is_distributed:
            return await self._by_id_and_owner(self._distribution.by, stores, keys, names)
        raw, text = uuid_keys(keys)
        if not text:
            return [None] * len(keys)
        found = await stores.referring_to(text).fetch(by_keys(self._table, "id", names), (text,))
        rows: dict[bytes | None, Record] = {row["id"].bytes: row for row in found}
        return list(map(rows.get, raw))

    async def _by_id_and_owner(
        self, by: str, stores: Stores, keys: Sequence[UUID | str], names: frozenset[str]
    ) -> list[Record | None]:
        """The same of a distributed table. Rows whose owner the key says are looked for at that owner's shard.

        What isn't there is looked for at all of them, by its id, as if the owner weren't known.
        """
        plain = list(map(str, keys))
        raw, text = uuid_keys(plain)
        if not text:
            return [None] * len(keys)
        stores, rows = stores.referring_to(text), dict[bytes | None, Record]()
        if (owned := with_owners(keys)) is not None:
            found = await stores.fetch(by_keys_of_owners(self._table, names, by), owned)
            rows = {row["id"].bytes: row for row in found}
        missing = [key for key, of_key in zip(plain, raw, strict=True) if of_key is not None and of_key not in rows]
        if missing:
            found = await stores.fetch(by_keys(self._table, "id", names), (uuid_keys(missing).text,))
            rows |= {row["id"].bytes: row for row in found}
        return list(map(rows.get, raw))

    async def one_by(
        self, column: str, where: ColumnElement[bool], stores: Stores, keys: Sequence[UUID], names: frozenset[str]
    ) -> list[Record | None]:
        """The live row of each owner that meets `where`, which at most one does; None where there is none."""
        raw, text = uuid_keys(keys)
        found = await stores.fetch(by_keys(self._table, column, names, where), (text,))
        rows: dict[bytes | None, Record] = {row[column].bytes: row for row in found}
        return list(map(rows.get, raw))

    async def pages(self, stores: Stores, keys: Sequence[PageKey], names: frozenset[str]) -> list[Sequence[Record]]:
        """The rows of each page, at most one more than its size, in the order of fetching."""
        answers: dict[PageKey, Sequence[Record]] = {}
        distributed = self._distribution is not None and stores.distribution.is_distributed
        of_owners = numbered_pages_by_owner if distributed else pages_by_owner
        for (by, request), owners in by_question(keys).items():
            values: list[Any] = []
            shape = page_shape(request, values)
            if by is None:
                answers[None, None, request] = await stores.fetch(page(self._table, shape, names), values)
                continue
            found: dict[UUID, list[Record]] = defaultdict(list)
            for row in await stores.fetch(of_owners(self._table, shape, names, by), [owners, *values]):
                found[row[0]].append(row)
            answers.update({(by, owner, request): found[owner] for owner in owners})
        return [answers[key] for key in keys]

    async def counts(self, stores: Stores, keys: Sequence[CountKey], names: frozenset[str]) -> list[int]:
        """The length of each whole list."""
        answers: dict[CountKey, int] = {}
        for (by, condition), owners in by_question(keys).items():
            values: list[Any] = []
            shape = shape_of(condition, values)
            if by is None:
                rows = await stores.fetch(count(self._table, shape), values)
                answers[None, None, condition] = rows[0][0]
                continue
            found = dict(await stores.fetch(counts_by_owner(self._table, shape, by), [owners, *values]))
            answers.update({(by, owner, condition): found.get(owner, 0) for owner in owners})
        return [answers[key] for key in keys]

    async def facets(self, stores: Stores, keys: Sequence[FacetKey], names: frozenset[str]) -> list[Answer]:
        """The answers of facets over the list of everything."""
        answers: dict[FacetKey, Answer] = {}
        for question, theirs in by_facet_question(keys).items():
            facets, values = facets_of(question, theirs), list[Any]()
            shape = facets_shape(facets, values)
            (row,) = await stores.fetch(select_facets(self._table, shape), values)
            found = answers_of(row, self._table, facets)
            answers.update({key: key.of(found[key.field]) for key in theirs})
        return [answers[key] for key in keys]
