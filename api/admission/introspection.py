"""What a client may learn of the schema: introspection, and the suggestions in messages."""

from __future__ import annotations

import re
from typing import Any, Final

from graphql import DocumentNode, GraphQLError, GraphQLSchema, NoSchemaIntrospectionCustomRule, validate

_INTROSPECTS: Final = re.compile(r"__(?:schema|type)\b")
_SUGGESTION: Final = re.compile(r" Did you mean [^?]{1,400}\?")


def introspects(text: str) -> bool:
    """Whether a document may introspect. Names can't be escaped in GraphQL, so searching the text is enough."""
    return _INTROSPECTS.search(text) is not None


def introspection_errors(schema: GraphQLSchema, document: DocumentNode) -> list[GraphQLError]:
    """One error for each field of a valid document that introspects the schema; `__typename` does not."""
    return validate(schema, document, [NoSchemaIntrospectionCustomRule])


def hide_suggestions(body: Any) -> None:
    """Remove the names that graphql-core suggests from the error messages of a response.

    Where SUGGESTIONS is off, validation makes none, but coercing variables still does.
    """
    for error in body.get("errors", ()):
        error["message"] = _SUGGESTION.sub("", error["message"])
