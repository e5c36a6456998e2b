"""The text of `docs/using/errors.md`: every code that an error can have, with what it means to a client."""

from __future__ import annotations

from typing import Final

from graphql import GraphQLEnumType

from api.schema import schema

_HEADER: Final = """\
# Errors

Every error has a code, for programs, and a message, for people: messages may change, codes stay. Both lists are enums
of the schema, and more may be added to them. Made by `fashion-wallet errors --output docs/using/errors.md`.
"""
_PARTS: Final = (
    (
        "ErrorCode",
        "Of the whole request, or of a field",
        "At the top level of a response: `errors[].extensions.code`. Beside it are `path`, where the error is of a "
        "field, and `locations`, where it is of a place in the document.",
    ),
    (
        "MutationErrorCode",
        "Of a mutation",
        "In a mutation's payload: `errors { code message path }`. `path` leads to the part of the input that "
        "it is about.",
    ),
)


def errors_page() -> str:
    """The page, in Markdown."""
    return "\n".join([_HEADER, *(_part(*part) for part in _PARTS)])


def _part(name: str, title: str, text: str) -> str:
    codes = schema._schema.type_map[name]
    assert isinstance(codes, GraphQLEnumType)
    rows = [f"| `{code}` | {value.description} |" for code, value in codes.values.items()]
    return "\n".join([f"## {title}", "", text, "", f"| `{name}` | What it means |", "|---|---|", *rows, ""])
