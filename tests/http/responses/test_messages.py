"""No message quotes what a client has sent: a secret may have stood in the wrong place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import httpx
import pytest
from graphql import (
    GraphQLError,
    GraphQLInputObjectType,
    is_input_type,
    parse,
    parse_value,
    validate_input_literal,
    validate_input_value,
)
from pydantic import BaseModel, Field

from api.http.responses.masking import without_values
from api.schema import schema
from api.writing.inputs import validated
from api.writing.refusals import Refusal
from tests.support.graphql import respond

pytestmark = pytest.mark.anyio

SECRET: Final = "hunter2"
NUMBER: Final = 20_260_131_999
TEXTS: Final = (
    SECRET,
    f"it's \", found: {SECRET}'",
    f"{SECRET}\n value: {SECRET}. Did you mean the enum value {SECRET}?",
)
LITERALS: Final = (
    *(f'"{text}"'.replace('\\"', '"') for text in (SECRET, f"it's , found: {SECRET}'")),
    *(
        f'"""{SECRET}\n, found: {SECRET}"""',
        SECRET,
        str(NUMBER),
        f"{NUMBER}.5",
        f'{{ a: "{SECRET}" }}',
        f'["{SECRET}"]',
    ),
)
VALUES: Final[tuple[Any, ...]] = (*TEXTS, NUMBER, NUMBER + 0.5, {"a": SECRET}, [SECRET], [[{"a": SECRET}]], True)


def said(kind: Any) -> Iterator[str]:
    """What graphql-core says where each literal and each value stands for this type, or for one of its fields."""
    messages: list[str] = []

    def note(error: GraphQLError, _path: Any) -> None:
        messages.append(error.message)

    names = list(kind.fields) if isinstance(kind, GraphQLInputObjectType) else []
    for literal in LITERALS:
        for text in (literal, *(f"{{ {name}: {literal} }}" for name in names)):
            validate_input_literal(parse_value(text), kind, note)
    for value in VALUES:
        for whole in (value, *({name: value} for name in names)):
            validate_input_value(whole, kind, note)
    yield from messages


def test_no_value_of_any_input_is_quoted() -> None:
    kinds = [
        kind for name, kind in schema._schema.type_map.items() if is_input_type(kind) and not name.startswith("__")
    ]
    messages = [message for kind in kinds for message in said(kind)]

    assert sum(SECRET in message or str(NUMBER) in message for message in messages) > 1000
    told = {without_values(message) for message in messages}
    assert [text for text in told if SECRET in text or str(NUMBER) in text] == []
    assert {text for text in told if "SignUpInput" in text} == {
        "Expected value of type 'SignUpInput' to be an object.",
        "Expected value of type 'SignUpInput' to include required field 'email'.",
        "Expected value of type 'SignUpInput' to include required field 'password'.",
        "Expected value of type 'SignUpInput' not to include unknown field 'a'.",
    }


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (f'{{ user(id: "1" "{SECRET}") {{ id }} }}', "Syntax Error: Expected Name, found String."),
        (f'{{ user(id: "1" """{SECRET}""") {{ id }} }}', "Syntax Error: Expected Name, found BlockString."),
        (f"{{ user(id: 1 {NUMBER}) {{ id }} }}", "Syntax Error: Expected Name, found Int."),
        (f"{{ user(id: 1 {NUMBER}.5) {{ id }} }}", "Syntax Error: Expected Name, found Float."),
        (SECRET, "Syntax Error: Unexpected Name."),
        (f'{{ user(id: "\\u{{{SECRET}}}") {{ id }} }}', "Syntax Error: Invalid Unicode escape sequence."),
        ('{ user(id: "\\hunter2") { id } }', "Syntax Error: Invalid character escape sequence."),
        ("{ user(id: 1", "Syntax Error: Expected Name, found <EOF>."),
    ],
)
def test_no_word_of_a_broken_document_is_quoted(document: str, message: str) -> None:
    with pytest.raises(GraphQLError) as refused:
        parse(document)

    assert without_values(refused.value.message) == message


SIGN_UP: Final = "mutation ($input: SignUpInput!) { signUp(input: $input) { errors { code } } }"


async def test_a_password_does_not_come_back(client: httpx.AsyncClient) -> None:
    """As it is answered: literals, variables, and null where a field may only be left out."""
    literal = f'mutation {{ signUp(input: {{ email: "a@example.com", pasword: "{SECRET}" }}) {{ errors {{ code }} }} }}'
    null = (
        f'mutation {{ applyDesignPatch(input: {{ id: "{SECRET}", expectedVersion: 1, operations: '
        "[{ remove: null }] }) { errors { code } } }"
    )
    bodies = [
        await respond(client, literal),
        await respond(client, SIGN_UP, input={"email": "a@example.com", "pasword": SECRET}),
        await respond(client, SIGN_UP, input={"email": "a@example.com", "password": [SECRET]}),
        await respond(client, literal.replace(" pasword:", "")),
        await respond(client, null),
        await respond(client, "query ($id: ID!) { node(id: $id) { id } }", id=SECRET),
        await respond(client, "query ($after: String) { designs(after: $after) { nodes { id } } }", after=SECRET),
    ]

    assert [[error["message"] for error in body["errors"]] for body in bodies] == [
        [
            "Expected value of type 'SignUpInput' to include required field 'password'.",
            "Expected value of type 'SignUpInput' not to include unknown field 'pasword'. Did you mean 'password'?",
        ],
        [
            "Variable '$input' has invalid value: Expected value of type 'SignUpInput' to include required field "
            "'password'.",
            "Variable '$input' has invalid value: Expected value of type 'SignUpInput' not to include unknown field "
            "'pasword'. Did you mean 'password'?",
        ],
        ["Variable '$input' has invalid value at .password: String cannot represent a non string value."],
        ["Syntax Error: Expected Name, found String."],
        [
            "Within OneOf Input Object type 'LayerOperation', exactly one field must be specified, and the value for "
            "that field must be non-null.",
            "Field 'remove' can be left out, but not be null.",
            "Field 'LayerOperation.remove' must be non-null.",
        ],
        ["This is not a valid id."],
        ["This is not a valid cursor."],
    ]
    assert SECRET not in str(bodies)


class Numbers(BaseModel):
    """One field for each kind of rule that inputs have."""

    above: Annotated[int, Field(gt=1)] = 2
    least: Annotated[int, Field(ge=1)] = 1
    most: Annotated[int, Field(le=1)] = 1
    short: Annotated[str, Field(min_length=2)] = "ab"
    long: Annotated[str, Field(max_length=2)] = "ab"
    few: Annotated[list[int], Field(min_length=1)] = [1]
    many: Annotated[list[int], Field(max_length=1)] = [1]
    finite: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    whole: int = 1


def test_rules_are_told_in_words_of_ours() -> None:
    wrong = {"above": 1, "least": 0, "most": 2, "short": "a", "long": "abc", "few": [], "many": [1, 2]}
    with pytest.raises(Refusal) as refused:
        validated(Numbers, wrong | {"finite": float("inf"), "whole": SECRET})

    assert {(error.path or [""])[0]: error.message for error in refused.value.errors} == {
        "above": "must be greater than 1",
        "least": "must be at least 1",
        "most": "must be at most 1",
        "short": "must have at least 2 characters",
        "long": "must have at most 2 characters",
        "few": "must have at least 1 items",
        "many": "must have at most 1 items",
        "finite": "must be a finite number",
        "whole": "is not what it should be",
    }
