"""Where the rows of each table live on a Citus cluster, and why. On one PostgreSQL nothing of this matters.

`fashion-wallet migrate distribute` makes it so. docs/operating/citus.md says what it means for who runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from models.base import Base


@dataclass(frozen=True, slots=True)
class Local:
    """A table that stays on the coordinator, as on one PostgreSQL: with its triggers, policies and foreign keys."""

    why: str


@dataclass(frozen=True, slots=True)
class Distributed:
    """A table whose rows are spread over the workers by the hash of a column.

    `key` is its primary key there, which must contain that column. `audited` tables have a trigger that writes the
    audit log, which no worker can reach: there the code that writes them does.
    """

    by: str
    key: tuple[str, ...]
    why: str
    audited: bool = False


PLACEMENTS: Final[Mapping[str, Local | Distributed]] = {
    "shared.users": Local(
        "Everything asks for users, and a reference table would be written on every node: with one worker down, nobody "
        "could sign up. Its triggers write the audit log in the same transaction."
    ),
    "catalog.catalog_items": Local(
        "Read everywhere and written by few. Its triggers write the audit log, the words of search, and wake live "
        "updates, all of which are on the coordinator."
    ),
    "audit.audit_log": Local(
        "Live updates follow the order of its places, which holds for what one node commits: rows on workers appear "
        "after the coordinator's transaction has ended, so that a gap could be taken for a rollback."
    ),
    "catalog.item_search": Local("Joined with the catalogue in every search."),
    "shared.search_spellings": Local("The vocabulary, which grows slower and slower."),
    "design.search_feed": Local("One row."),
    "shared.operations": Local("A row for each deletion of an account, locked together with the account."),
    "shared.trusted_documents": Local("A few thousand rows, written by operators."),
    "shared.account_sessions": Local(
        "Joined with the account for each request that isn't known from the second before; 100 bytes a session, and "
        "ended ones are deleted."
    ),
    "shared.account_refresh_tokens": Local("Beside their sessions."),
    "avatar.avatars": Distributed(
        "user_id",
        ("id", "user_id"),
        "Grows with users; nearly every statement names the owner, so that it goes to one shard.",
        audited=True,
    ),
    "shared.idempotency_keys": Distributed(
        "actor", ("id", "actor"), "Holds whole answers, and is written twice for each mutation that has a key."
    ),
    "design.design_search": Distributed(
        "id",
        ("id",),
        "Grows with designs. Who follows these names them by id; a search asks for everybody's published ones, and "
        "each shard finds those that it has.",
    ),
}
"""Every table, by its name with the schema."""

DISTRIBUTED: Final[Mapping[str, Distributed]] = {
    name: placement for name, placement in PLACEMENTS.items() if isinstance(placement, Distributed)
}


def distribution(model: type[Base]) -> Distributed | None:
    """How the rows of a model are spread; None where they are on the coordinator."""
    return DISTRIBUTED.get(getattr(model.__table__, "fullname", ""))
