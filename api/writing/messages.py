"""Messages for invalid values of inputs; pydantic's own are written for programmers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_WORDS: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "finite_number": "must be a finite number",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "does not have the form that it should have",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "literal_error": "must be {expected}",
    "none_required": "must be null",
}
_OTHERS: Final = "is not what it should be"


def words_of(problem: Mapping[str, Any]) -> str:
    """The message for one pydantic error, without the value. Errors of our own validators have their own message."""
    if problem["type"] == "value_error":
        return str(problem["msg"]).removeprefix("Value error, ")
    return _WORDS.get(problem["type"], _OTHERS).format_map(problem.get("ctx", {}))
