"""Commands on the collection `designs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from bson import ObjectId

from api.lists.conditions import Condition, stored_name, to_mongo
from api.lists.facet_statements import answers_in, facets_stage, one_of, texts_in
from api.lists.facets import Answer, FacetKey, by_facet_question, facets_of
from api.lists.keyset import mongo_filter, mongo_sort, projection
from api.lists.pagination import PageRequest
from api.lists.rows import CountKey, PageKey, by_question
from api.rights.policies import LIVE
from api.stores.stores import Stores
from documents import Design
from documents.repository import MongoRepository

Document = dict[str, Any]

MOST_OF_VALUE: Final = 20
"""Designs that are candidates for having a tag, or an item, in common: the newest ones."""
CandidateKey = tuple[str, str, Condition]
"""What candidates share (`tag` or `item`), its value, and which designs may be candidates."""
_SOUGHT: Final = {"tag": "metadata.tags", "item": "layers.itemId"}
_COMPARED: Final = frozenset(("metadata.tags", "layers.item_id", "layers.type", "layers.color"))


def repository(stores: Stores) -> MongoRepository[Design]:
    """The repository of designs."""
    return MongoRepository(Design, stores.database)


async def by_id(stores: Stores, keys: Sequence[ObjectId], names: frozenset[str]) -> list[Document | None]:
    """The design of each key, with its `deletedAt`, since deleted ones are included; None where there is none."""
    where = {"_id": keys[0] if len(keys) == 1 else {"$in": list(keys)}}
    fields = _fields(stores, names | {"deleted_at"})
    found = await repository(stores).read(fields, where=where, include_deleted=True)
    by_key = {design["_id"]: design for design in found}
    return [by_key.get(key) for key in keys]


async def whole(stores: Stores, key: ObjectId) -> Document | None:
    """One whole stored design, deleted or not."""
    found = await repository(stores).read(None, where={"_id": key}, limit=1, include_deleted=True)
    return found[0] if found else None


async def pages(stores: Stores, keys: Sequence[PageKey], names: frozenset[str]) -> list[Sequence[Document]]:
    """The designs of each page, at most one more than its size, in the order of fetching. One command for each
    question."""
    answers: dict[PageKey, Sequence[Document]] = {}
    for (by, request), owners in by_question(keys).items():
        if by is None:
            answers[None, None, request] = await _page(stores, request, names)
            continue
        pipeline: list[Document] = [
            {"$match": mongo_filter(request)},
            {"$sort": mongo_sort(request)},
            {"$limit": request.size + 1},
            {"$project": _fields(stores, names)},
        ]
        found = await _by_owner(stores, by, owners, pipeline)
        answers.update({(by, owner, request): found.get(str(owner), ()) for owner in owners})
    return [answers[key] for key in keys]


async def counts(stores: Stores, keys: Sequence[CountKey], names: frozenset[str]) -> list[int]:
    """The length of each whole list."""
    answers: dict[CountKey, int] = {}
    for (by, condition), owners in by_question(keys).items():
        where = to_mongo(condition)
        if by is None:
            answers[None, None, condition] = await repository(stores).count(where, include_deleted=True)
            continue
        # not $count: SecantusDB doesn't know that stage inside a lookup
        pipeline: list[Document] = [{"$match": where}, {"$group": {"_id": None, "count": {"$sum": 1}}}]
        found = await _by_owner(stores, by, owners, pipeline)
        for owner in owners:
            counted = found.get(str(owner), ())
            answers[by, owner, condition] = counted[0]["count"] if counted else 0
    return [answers[key] for key in keys]


async def usage(stores: Stores, items: Sequence[UUID], names: frozenset[str]) -> list[Document]:
    """How many live designs show each item, and how many users these belong to, as `designs` and `users`."""
    pipeline: list[Document] = [
        {"$match": to_mongo(LIVE)},
        {"$group": {"_id": "$userId", "designs": {"$sum": 1}}},
        {"$group": {"_id": None, "designs": {"$sum": "$designs"}, "users": {"$sum": 1}}},
    ]
    found = await _by_owner(stores, "layers.item_id", items, pipeline)
    counted = [found.get(str(item)) for item in items]
    return [dict(one[0]) if one else {"designs": 0, "users": 0} for one in counted]


async def candidates(stores: Stores, keys: Sequence[CandidateKey], names: frozenset[str]) -> list[Sequence[Document]]:
    """The newest designs with each tag or item, at most `MOST_OF_VALUE`. One command for all with the same scope."""
    answers: dict[CandidateKey, Sequence[Document]] = {}
    for scope in dict.fromkeys(scope for _, _, scope in keys):
        asked = [(kind, value) for kind, value, its in keys if its == scope]
        pipeline: list[Document] = [
            {"$match": to_mongo(scope)},
            {"$sort": {"createdAt": -1, "_id": -1}},
            {"$limit": MOST_OF_VALUE},
            {"$project": projection(_COMPARED)},
        ]
        found = await repository(stores).read_by_values(_SOUGHT, asked, pipeline)
        answers.update({(*one, scope): documents for one, documents in zip(asked, found, strict=True)})
    return [answers[key] for key in keys]


_WAYS: Final = {
    "status": one_of("status", ("draft", "published", "archived")),
    "metadata.tags": texts_in("metadata.tags"),
}
"""From designs to the values of their facets."""


async def facets(stores: Stores, keys: Sequence[FacetKey], names: frozenset[str]) -> list[Answer]:
    """The answers of facets. One command for each question, whatever it is that is counted, and for whom."""
    answers: dict[FacetKey, Answer] = {}
    for question, theirs in by_facet_question(keys).items():
        asked = facets_of(question, theirs)
        pipeline = facets_stage(asked, _WAYS)
        if question.by is None:
            found: Mapping[str, Sequence[Document]] = {"None": await repository(stores).aggregate(pipeline)}
        else:
            found = await _by_owner(stores, question.by, list({key.owner for key in theirs}), pipeline)
        of_owner = {owner: answers_in(document, asked) for owner, (document,) in found.items()}
        answers.update({key: key.of(of_owner[str(key.owner)][key.field]) for key in theirs})
    return [answers[key] for key in keys]


def _fields(stores: Stores, names: frozenset[str]) -> Mapping[str, int]:
    """The projection of these paths; where avatars are distributed, a design's with its owner, who leads to it."""
    if stores.distribution.is_distributed and "avatar_id" in names:
        names |= {"user_id"}
    return projection(names)


async def _page(stores: Stores, request: PageRequest, names: frozenset[str]) -> Sequence[Document]:
    ((field, direction), *_) = mongo_sort(request).items()
    return await repository(stores).read(
        _fields(stores, names),
        where=mongo_filter(request),
        sort=[f"-{field}" if direction < 0 else field],
        limit=request.size + 1,
        include_deleted=True,  # the scope of the request says which designs
    )


async def _by_owner(
    stores: Stores, by: str, owners: Sequence[Any], pipeline: list[Document]
) -> Mapping[str, Sequence[Document]]:
    # keys of PostgreSQL are stored as text in MongoDB
    return await repository(stores).read_by_owner(stored_name(by), [str(owner) for owner in owners], pipeline)
