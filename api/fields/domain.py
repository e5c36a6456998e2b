"""What a domain exports: one value. `api.schema` puts the domains together, and so fills every registry from above."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

from api.fields.costs import Cost
from api.fields.node import Node
from api.fields.selection import ResolveInfo
from api.fields.sources import Source
from api.ids import Parse
from api.rights.policies import Policy

if TYPE_CHECKING:
    from api.fields.context import Context

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A GraphQL type of objects: how the key in their global ids is read, and the loader that finds them by it.

    Where their table is distributed `by_owner`, an object is looked for among those of the viewer first.
    """

    key: Parse
    loader: str
    policy: Policy
    by_owner: bool = False


@dataclass(frozen=True, slots=True)
class RecordType:
    """A GraphQL type of what was recorded of objects: how its key is read, and what finds a record by it.

    `find` gives None for what is not there, or not for the viewer.
    """

    key: Parse
    find: Callable[[Any, ResolveInfo], Awaitable[Node | None]]


class Belongings(Protocol):
    """What belongs to users outside of PostgreSQL, and is deleted and restored with them.

    What is deleted together has the same moment, so that exactly that comes back. Every step may be repeated.
    """

    async def newest_deletion(self, context: Context, user_id: UUID) -> datetime | None:
        """The latest moment, from now on, at which something of the user's was deleted; None where there is none."""

    async def take(self, context: Context, user_id: UUID, moment: datetime) -> int:
        """Delete what of the user's is live, as of this moment. How much there was."""

    async def give_back(self, context: Context, user_id: UUID, moment: datetime) -> int:
        """Restore what was deleted at this moment. How much there was."""

    async def take_late(self, context: Context, user_id: UUID) -> bool:
        """Delete what has come to life since its owner was deleted. Whether they still are."""


@dataclass(frozen=True, slots=True)
class Domain:
    """What a domain has for the others to work with.

    `queries`, `mutations` and `subscriptions` are classes of root fields. `objects` and `records` are its types with
    global ids, by name. `loaders` say, by the name of each loader, where its values come from. `costs` are those of its
    fields that can't be read off the schema, by `Type.field`. `types` are those that no field names, such as members of
    interfaces. `belongings` are what it keeps for users outside of PostgreSQL.
    """

    queries: Sequence[type] = ()
    mutations: Sequence[type] = ()
    subscriptions: Sequence[type] = ()
    objects: Mapping[str, ObjectType] = field(default_factory=dict)
    records: Mapping[str, RecordType] = field(default_factory=dict)
    loaders: Mapping[str, Source] = field(default_factory=dict)
    costs: Mapping[str, Cost] = field(default_factory=dict)
    types: Sequence[type] = ()
    belongings: Belongings | None = None


class Domains:
    """All domains together."""

    def __init__(self, domains: Sequence[Domain]) -> None:
        """Raises ValueError where two domains claim the same name."""
        self.queries = tuple(each for domain in domains for each in domain.queries)
        self.mutations = tuple(each for domain in domains for each in domain.mutations)
        self.subscriptions = tuple(each for domain in domains for each in domain.subscriptions)
        self.types = tuple(each for domain in domains for each in domain.types)
        self.objects = _joined([domain.objects for domain in domains])
        self.records = _joined([domain.records for domain in domains])
        self.loaders = _joined([domain.loaders for domain in domains])
        self.loaders_beside = {type_name: tuple(domain.loaders) for domain in domains for type_name in domain.objects}
        """The names of all loaders of the domain that has this type of objects."""
        self.costs = _joined([domain.costs for domain in domains])
        self.belongings = tuple(domain.belongings for domain in domains if domain.belongings is not None)

    def policy(self, type_name: str) -> Policy:
        """Who may see objects of this type. Raises KeyError where no domain has it."""
        return self.objects[type_name].policy


def _joined(mappings: Sequence[Mapping[str, T]]) -> dict[str, T]:
    joined: dict[str, T] = {}
    for mapping in mappings:
        if twice := joined.keys() & mapping.keys():
            raise ValueError(f"two domains have {', '.join(sorted(twice))}")
        joined.update(mapping)
    return joined
