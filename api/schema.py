"""The GraphQL schema: all domains together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import strawberry
from strawberry.schema.config import StrawberryConfig

from api.admission.document_cache import documents
from api.admission.limited_schema import LimitedSchema
from api.audit.domain import domain as audit
from api.avatars.domain import domain as avatars
from api.catalog.domain import domain as catalog
from api.designs.domain import domain as designs
from api.error_codes import ErrorCode
from api.fields import input_types, odd_values, selection, times
from api.fields.domain import Domains
from api.fields.queries import domain as nodes
from api.fields.semantic_nulls import DIRECTIVE, print_with_semantic_nulls
from api.health.domain import domain as health
from api.ids import OBJECTS, RECORDS
from api.search.domain import domain as search
from api.stores.views import read
from api.users.deletion.domain import domain as deletion
from api.users.domain import domain as users
from api.writing.refusals import ConflictError, InvalidInput, NotFoundError

DOMAINS: Final = Domains(
    (
        nodes,
        users,
        avatars,
        catalog,
        designs,
        audit,
        health,
        search,
        deletion,
    )
)
"""What the API consists of. A new domain is a package and a line here: docs/developing/new-domain.md."""

OBJECTS.update({name: type_.key for name, type_ in DOMAINS.objects.items()})
RECORDS.update({name: type_.key for name, type_ in DOMAINS.records.items()})


DESCRIPTION: Final = """
Designs of clothes: stacks of layers on an avatar, each showing an item of a catalog.

Lists are Relay connections: `first`/`after` forwards, `last`/`before` backwards, with `filter` and `orderBy`; ids are
global, and `node` finds any object. Mutations take one `input` and return the changed object and `errors`. What needs
rights is sent with `Authorization: Bearer <access token>`, which `signIn` gives; a field that the viewer may not see
is null.
""".strip()


def _root(name: str, classes: Sequence[type], description: str) -> type:
    """The root type that has the fields of all these classes."""
    return strawberry.type(type(name, tuple(classes), {}), description=description)


schema: Final = LimitedSchema(
    costs=DOMAINS.costs,
    query=_root("Query", DOMAINS.queries, "Everything that can be read."),
    mutation=_root(
        "Mutation",
        DOMAINS.mutations,
        "Everything that can be changed. Errors that a client can cause are in the payloads.",
    ),
    subscription=_root("Subscription", DOMAINS.subscriptions, "What can be followed, event by event."),
    types=[InvalidInput, NotFoundError, ConflictError, *DOMAINS.types, ErrorCode],  # no field's type names them
    config=StrawberryConfig(default_resolver=read),
)
for settle in (input_types.settle, times.settle, odd_values.settle):
    settle(schema._schema)
schema._schema.directives = (*schema._schema.directives, DIRECTIVE)
schema._schema.description = DESCRIPTION  # Strawberry has no parameter for it
documents.when_forgotten += [schema.forget, selection.forget]


def print_sdl() -> str:
    """The schema in GraphQL's schema definition language, ending in a newline."""
    return print_with_semantic_nulls(schema._schema) + "\n"
