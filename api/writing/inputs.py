"""Inputs of mutations: their values as plain Python objects, and their validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeVar

import strawberry
from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from strawberry.types.base import StrawberryMaybe
from strawberry.types.maybe import Some

from api.error_codes import MutationErrorCode
from api.writing.messages import words_of
from api.writing.refusals import InvalidInput, Refusal


def given(mutation_input: Any) -> dict[str, Any]:
    """The given values of a Strawberry input by Python name, with `Maybe` unpacked and enums as their stored values."""
    values: dict[str, Any] = {}
    for field in mutation_input.__strawberry_definition__.fields:
        value = getattr(mutation_input, field.python_name)
        if value is strawberry.UNSET or (value is None and isinstance(field.type, StrawberryMaybe)):
            continue
        values[field.python_name] = _plain(value)
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, Some):
        return _plain(value.value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "__strawberry_definition__"):
        return given(value)
    return value


S = TypeVar("S", bound=BaseModel)


def validated(schema: type[S], values: Mapping[str, Any]) -> S:
    """The values, validated by the schema. Raises Refusal with all errors at once, each with its path."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise refusal_of(error) from None


def refusal_of(error: ValidationError, said: Callable[[str], str] = str) -> Refusal:
    """The refusal with all problems of a validation, each with its path. `said` makes a message of its words."""
    problems = error.errors(include_input=False, include_url=False)
    return Refusal(
        *(
            InvalidInput(
                code=MutationErrorCode.INVALID,
                message=said(words_of(problem)),
                path=[to_camel(str(part)) for part in problem["loc"]] or None,
            )
            for problem in problems
        )
    )
