"""Every statement on `shared.trusted_documents`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Text, any_, bindparam, delete, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.errors import BadUserInput
from api.stores.stores import Stores
from models import PostgresRepository, TrustedDocument

_ONE: Final = select(TrustedDocument.document, TrustedDocument.created_at).where(
    TrustedDocument.identifier == bindparam("identifier")
)
_AS_IT_IS: Final = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Registered:
    """A document, and when it was registered: an identifier that was removed and added again is another one."""

    document: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be registered: a document under one of its identifiers."""

    identifier: str
    document: str
    operations: str


async def find(stores: Stores, identifier: str) -> Registered | None:
    """The document of an identifier."""
    repository = PostgresRepository(TrustedDocument, stores.reads, stores.sessions)
    rows = await repository.read_statement(_ONE.params(identifier=identifier))
    return Registered(*rows[0]) if rows else None


async def still(stores: Stores, identifiers: Iterable[str]) -> dict[str, datetime]:
    """Those of the identifiers that are registered, each with its time of registration."""
    repository = PostgresRepository(TrustedDocument, stores.reads, stores.sessions)
    rows = await repository.read_statement(
        select(TrustedDocument.identifier, TrustedDocument.created_at).where(
            TrustedDocument.identifier == any_(literal(list(identifiers), ARRAY(Text)))
        )
    )
    return {row.identifier: row.created_at for row in rows}


async def add(transaction: AsyncSession, entries: Sequence[Entry]) -> int:
    """Register documents; how many of them are new.

    Raises BadUserInput where an identifier stands for another document already: it has to be removed first.
    """
    # ordered: two that register the same ones at the same time would else wait for each other
    ordered = sorted(entries, key=lambda entry: entry.identifier)
    statement = insert(TrustedDocument).on_conflict_do_nothing().returning(TrustedDocument.identifier)
    new = set((await transaction.scalars(statement, list(map(asdict, ordered)))).all())
    known = [entry.identifier for entry in ordered if entry.identifier not in new]
    rows = await transaction.execute(
        select(TrustedDocument.identifier, TrustedDocument.document).where(
            TrustedDocument.identifier == any_(literal(known, ARRAY(Text)))
        )
    )
    stored = {row.identifier: row.document for row in rows}
    other = [entry.identifier for entry in ordered if stored.get(entry.identifier, entry.document) != entry.document]
    if other:
        raise BadUserInput(f"Another document has this identifier already, remove it first: {', '.join(other)}")
    return len(new)


async def remove(transaction: AsyncSession, identifiers: Sequence[str]) -> set[str]:
    """Take documents out of the register; the identifiers that were there."""
    statement = delete(TrustedDocument).where(TrustedDocument.identifier.in_(identifiers))
    returned = await transaction.scalars(statement.returning(TrustedDocument.identifier), execution_options=_AS_IT_IS)
    return set(returned.all())


async def listed(transaction: AsyncSession) -> Sequence[tuple[str, str, datetime]]:
    """Identifier, names of the operations, and time of registration of all documents, by name."""
    rows = await transaction.execute(
        select(TrustedDocument.identifier, TrustedDocument.operations, TrustedDocument.created_at).order_by(
            TrustedDocument.operations, TrustedDocument.identifier
        )
    )
    return [(identifier, operations, since) for identifier, operations, since in rows]
