"""Finds live objects in both stores with values that the API can't show."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from graphql import GraphQLObjectType
from sqlalchemy import select

from api.fields.context import Context
from api.fields.odd_values import odd_fields
from api.reconcile.report import Progress, Report
from api.schema import schema
from documents import Design, MongoRepository
from models import Avatar, CatalogItem, User

TABLES: Final[Mapping[str, type[User] | type[Avatar] | type[CatalogItem]]] = {
    "User": User,
    "Avatar": Avatar,
    "CatalogItem": CatalogItem,
}


async def find_odd_values(context: Context, report: Report, *, repair: bool, batch: int, progress: Progress) -> None:
    """Report the objects with their odd fields. Nothing is repaired: only the program that wrote them knows their
    meaning."""
    for name, model in TABLES.items():
        await _look_at(report, name, _rows(context, model, batch), progress)
    await _look_at(report, "Design", _designs(context, batch), progress)


async def _look_at(report: Report, name: str, batches: AsyncIterator[Sequence[Any]], progress: Progress) -> None:
    named, done = schema._schema.type_map[name], 0
    assert isinstance(named, GraphQLObjectType)
    async for found in batches:
        odd = [(source, sorted(set(odd_fields(named, source)))) for source in found]
        tally = report.odd_values
        tally.remaining += tally.add(f"{name} {_id(source)}: {', '.join(fields)}" for source, fields in odd if fields)
        done += len(found)
        progress(f"values of {name}", done, None)


def _id(source: Any) -> Any:
    return source["_id"] if isinstance(source, dict) else source.id


async def _rows(
    context: Context, model: type[User] | type[Avatar] | type[CatalogItem], batch: int
) -> AsyncIterator[Sequence[Any]]:
    statement = select(model.__table__).where(model.deleted_at.is_(None)).order_by(model.id).limit(batch)
    after = statement
    while True:
        async with context.stores.sessions() as session:
            found = (await session.execute(after)).all()
        if not found:
            return
        yield found
        after = statement.where(model.id > found[-1].id)


async def _designs(context: Context, batch: int) -> AsyncIterator[Sequence[Any]]:
    designs = MongoRepository(Design, context.stores.database)
    where: dict[str, Any] = {}
    while found := await designs.read(None, where=where, sort=["_id"], limit=batch):
        yield found
        where = {"_id": {"$gt": found[-1]["_id"]}}
