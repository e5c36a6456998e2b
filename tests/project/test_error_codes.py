"""The codes of errors: each stands in the schema, is used, and is explained on a page.

That no answer of the suite has another one is held by the fixture `listed_codes`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from graphql import GraphQLEnumType

from api.commands.errors_page import errors_page
from api.error_codes import ErrorCode, MutationErrorCode
from api.errors import AppError
from api.schema import schema

ROOT = Path(__file__).parents[2]
TYPES = schema._schema.type_map


def sources() -> Iterator[ast.AST]:
    """Every node of the program's code, but for the list of codes itself."""
    for path in sorted((ROOT / "api").rglob("*.py")):
        if path.name != "codes.py":
            yield from ast.walk(ast.parse(path.read_text("utf-8")))


def used(codes: type[Enum]) -> set[str]:
    """The members that the code names."""
    return {
        node.attr
        for node in sources()
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == codes.__name__
    }


def test_every_code_stands_in_the_schema_and_is_used() -> None:
    for codes in (ErrorCode, MutationErrorCode):
        listed: Any = TYPES[codes.__name__]
        assert isinstance(listed, GraphQLEnumType)
        assert listed.values.keys() == codes.__members__.keys() == used(codes)


def test_no_code_is_written_as_text() -> None:
    """A code that is no member of an enum would be a text: an argument or attribute `code`, or the key of an object."""
    texts = [
        ast.unparse(node)
        for node in sources()
        for name, value in named_values(node)
        if name == "code" and isinstance(value, ast.Constant) and isinstance(value.value, str)
    ]

    assert texts == []


def named_values(node: ast.AST) -> Iterator[tuple[Any, ast.expr | None]]:
    """What the node gives a value: arguments, attributes, the keys of objects."""
    if isinstance(node, ast.keyword):
        yield node.arg, node.value
    elif isinstance(node, ast.Dict):
        yield from (
            (key.value if isinstance(key, ast.Constant) else None, value)
            for key, value in zip(node.keys, node.values, strict=True)
        )
    elif isinstance(node, ast.ClassDef):
        for statement in node.body:
            if isinstance(statement, ast.Assign):
                yield from (
                    (target.id, statement.value) for target in statement.targets if isinstance(target, ast.Name)
                )


def errors_of(kind: type[AppError]) -> Iterator[type[AppError]]:
    """A class of errors, and all that are made from it."""
    yield kind
    for below in kind.__subclasses__():
        yield from errors_of(below)


def test_every_error_has_a_code_of_the_list() -> None:
    of_errors = {kind.code for kind in errors_of(AppError)}
    of_graphql_core = {ErrorCode.GRAPHQL_PARSE_FAILED, ErrorCode.GRAPHQL_VALIDATION_FAILED, ErrorCode.BAD_VARIABLES}

    assert of_errors | of_graphql_core == set(ErrorCode)


def test_codes_of_payloads_are_typed() -> None:
    interface: Any = TYPES["MutationError"]
    kinds = [interface, *schema._schema.get_possible_types(interface)]

    assert {kind.name for kind in kinds} == {
        *("MutationError", "InvalidInput", "NotFoundError", "ConflictError", "VersionConflict")
    }
    for kind in kinds:
        assert kind.fields["code"].type.of_type is TYPES["MutationErrorCode"]


def test_the_page_is_current() -> None:
    page = (ROOT / "docs/using/errors.md").read_text("utf-8")

    assert page == errors_page(), "run: fashion-wallet errors --output docs/using/errors.md"
    for code in (*ErrorCode, *MutationErrorCode):
        assert page.count(f"\n| `{code.name}` | ") == 1
