"""The scalar `DateTime`: what it says of itself, and that it takes only moments, with their time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from graphql import GraphQLError, GraphQLScalarType, GraphQLSchema, StringValueNode, ValueNode
from strawberry.exceptions import StrawberryInputCoercionError

_USUAL: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
"""Moments as nearly everybody writes them. Python reads these alone, a tenth as long as what reads all of ISO 8601."""


def settle(schema: GraphQLSchema) -> None:
    """Say what a DateTime looks like, which Strawberry leaves open, and take only that."""
    times = schema.type_map["DateTime"]
    assert isinstance(times, GraphQLScalarType)
    times.specified_by_url = "https://scalars.graphql.org/andimarek/date-time.html"
    times.description = "A moment as text, with date, time and zone: `2025-11-17T10:30:00Z` (RFC 3339)."
    _take_moments(times)


def _take_moments(times: GraphQLScalarType) -> None:
    """Make the scalar accept only moments. Other values are errors with a location."""
    parse = times.coerce_input_value

    def moment(value: Any) -> datetime:
        if type(value) is str and _USUAL.fullmatch(value) is not None:
            try:
                return datetime.fromisoformat(value).astimezone(UTC)
            except (ValueError, OverflowError):
                pass  # no such day, or 24:00, or beyond the years: the long way knows
        try:
            parsed: datetime = parse(value)
        except StrawberryInputCoercionError:
            raise GraphQLError("A DateTime is a text such as 2026-01-31T12:00:00Z.") from None
        if parsed.tzinfo is None:
            raise GraphQLError("A DateTime needs its zone, as in 2026-01-31T12:00:00Z.")
        try:
            return parsed.astimezone(UTC)
        except OverflowError:
            raise GraphQLError("A DateTime lies between the years 1 and 9999.") from None

    def literal(node: ValueNode, *_: Any) -> datetime:
        try:
            return moment(node.value if isinstance(node, StringValueNode) else None)
        except GraphQLError as error:
            raise GraphQLError(error.message, node) from None

    times.coerce_input_value, times.coerce_input_literal = moment, literal
