"""What a client may learn of the schema: introspection, and the suggestions in messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from graphql import NoSchemaIntrospectionCustomRule, validate
from strawberry.extensions import SchemaExtension

_INTROSPECTS: Final = re.compile(r"__(?:schema|type)\b")
_SUGGESTION: Final = re.compile(r" Did you mean [^?]{1,400}\?")


class Introspection(SchemaExtension):
    """Refuses introspection where the settings don't allow it.

    Names can't be escaped in GraphQL, so a text without them doesn't introspect: documents are only walked where
    they may.
    """

    def on_validate(self) -> Iterator[None]:
        """After ValidationCache, whose verdict this one adds to."""
        context = self.execution_context
        document = context.graphql_document
        if (
            not context.context.settings.introspection
            and not context.pre_execution_errors
            and document is not None
            and _INTROSPECTS.search(context.query or "")
        ):
            errors = validate(context.schema._schema, document, [NoSchemaIntrospectionCustomRule])
            if errors:
                context.pre_execution_errors = errors
        yield


def hide_suggestions(body: Any) -> None:
    """Take the names that graphql-core suggests off the messages of a response's errors.

    It could be told not to suggest any, but not by everything that calls it between here and there.
    """
    for error in body.get("errors", ()):
        error["message"] = _SUGGESTION.sub("", error["message"])
