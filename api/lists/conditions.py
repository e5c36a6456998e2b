"""Conditions on objects, as data. Filters and policies are compiled to them, and they are compiled to SQL or MongoDB
filters.

Fields have their Python names (`created_at`, `metadata.tags`). There is no three-valued logic: a comparison with an
absent value is false and its negation is true, in both stores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal

from pydantic.alias_generators import to_camel
from sqlalchemy import ColumnElement, String, and_, cast, false, func, literal, not_, or_, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from api.folding import folded, pattern

Operator = Literal["in", "gt", "gte", "lt", "lte", "contains", "starts_with", "has_any", "has_all", "is_null"]


@dataclass(frozen=True, slots=True)
class Compare:
    """One field against one value. `value` is hashable: tuples for `in`, `has_any` and `has_all` (never empty)."""

    field: str
    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class And:
    """All of the conditions; true where there are none."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of the conditions; false where there are none."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a condition."""

    condition: Condition


Condition = Compare | And | Or | Not
EVERYTHING = And(())


Shape = tuple[Any, ...]
"""A condition without its values, as nested tuples. The text of an SQL statement depends on nothing else."""


def _like(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


_PARAMETER: Mapping[str, Callable[[Any], Any]] = {
    "contains": lambda text: f"%{_like(folded(text))}%",
    "starts_with": lambda text: f"{_like(folded(text))}%",
    "has_any": list,
    "has_all": list,
}


def shape_of(condition: Condition, values: list[Any]) -> Shape:
    """The shape of a condition. Its values are appended to `values`, in the order in which its SQL takes them.

    The number of values of an `in` isn't part of its shape, except for one value: that becomes an equality, with which
    an index can give the order.
    """
    if isinstance(condition, Compare):
        operator, value = condition.operator, condition.value
        if operator == "is_null":
            return ("is_null" if value else "is_not_null", condition.field)
        if operator == "in":
            equality = len(value) == 1
            values.append(value[0] if equality else list(value))
            return ("equals" if equality else "in", condition.field)
        convert = _PARAMETER.get(operator)
        values.append(value if convert is None else convert(value))
        return (operator, condition.field)
    if isinstance(condition, Not):
        return ("not", shape_of(condition.condition, values))
    parts = [shape_of(part, values) for part in condition.conditions]
    return ("and" if isinstance(condition, And) else "or", *parts)


Take = Callable[[TypeEngine[Any]], ColumnElement[Any]]
"""Gives the next value of a condition, or a parameter for it, as SQL of this type."""

_TEXTS = ARRAY(String)
_SQL: Mapping[str, Callable[[ColumnElement[Any], Take], ColumnElement[bool]]] = {
    "equals": lambda column, take: column == take(column.type),
    "in": lambda column, take: column == func.any(take(ARRAY(column.type))),
    "gt": lambda column, take: column > take(column.type),
    "gte": lambda column, take: column >= take(column.type),
    "lt": lambda column, take: column < take(column.type),
    "lte": lambda column, take: column <= take(column.type),
    "contains": lambda column, take: func.shared.fold(column, type_=String()).like(take(String())),
    "starts_with": lambda column, take: func.shared.fold(column, type_=String()).like(take(String())),
    "has_any": lambda column, take: column.op("?|", is_comparison=True)(cast(take(_TEXTS), _TEXTS)),
    "has_all": lambda column, take: column.op("?&", is_comparison=True)(cast(take(_TEXTS), _TEXTS)),
    "is_null": lambda column, _: column.is_(None),
    "is_not_null": lambda column, _: column.is_not(None),
}


def shape_to_sql(shape: Shape, columns: Mapping[str, ColumnElement[Any]], take: Take) -> ColumnElement[bool]:
    """The SQL of a shape. `columns` has the column of each field; `take` gives the values or parameters."""
    operator, *parts = shape
    match operator:
        case "and":
            return and_(*(shape_to_sql(part, columns, take) for part in parts)) if parts else true()
        case "or":
            return or_(*(shape_to_sql(part, columns, take) for part in parts)) if parts else false()
        case "not":
            return not_(func.coalesce(shape_to_sql(parts[0], columns, take), false()))
    return _SQL[operator](columns[parts[0]], take)


def to_sql(condition: Condition, columns: Mapping[str, ColumnElement[Any]]) -> ColumnElement[bool]:
    """The condition as an SQL expression with its values in it."""
    values: list[Any] = []
    shape, given = shape_of(condition, values), iter(values)
    return shape_to_sql(shape, columns, lambda type_: literal(next(given), type_))


def _whole_millisecond(value: Any) -> Any:
    """A time rounded up to the milliseconds of BSON. Rounded down, `< time` would miss the millisecond that it lies
    in."""
    surplus = value.microsecond % 1000 if isinstance(value, datetime) else 0
    if not surplus:
        return value
    try:
        return value + timedelta(microseconds=1000 - surplus)
    except OverflowError:  # it is in the last millisecond of the year 9999
        return value


_MONGO: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "in": lambda values: {"$in": list(values)} if len(values) != 1 else {"$eq": values[0]},
    "gt": lambda value: {"$gt": value},
    "gte": lambda value: {"$gte": _whole_millisecond(value)},
    "lt": lambda value: {"$lt": _whole_millisecond(value)},
    "lte": lambda value: {"$lte": value},
    "contains": lambda text: {"$regex": pattern(text)},
    "starts_with": lambda text: {"$regex": f"^{pattern(text)}"},
    "has_any": lambda values: {"$in": list(values)},
    "is_null": lambda absent: {"$eq": None} if absent else {"$ne": None},
    "has_all": lambda values: {"$all": list(values)},
}


@cache
def stored_name(field: str) -> str:
    """The name in MongoDB of a Python field: `metadata.thumbnail_url` is stored as `metadata.thumbnailUrl`."""
    return "_id" if field == "id" else ".".join(to_camel(part) for part in field.split("."))


def to_mongo(condition: Condition) -> dict[str, Any]:
    """The condition as a MongoDB filter on the stored (camelCase) names."""
    match condition:
        case Compare(field, operator, value):
            return {stored_name(field): _MONGO[operator](value)}
        case And(conditions):
            return both(*(to_mongo(part) for part in conditions))
        case Or(()):
            return {"_id": {"$in": []}}
        case Or(conditions):
            return {"$or": [to_mongo(part) for part in conditions]}
        case Not(inner):
            return {"$nor": [to_mongo(inner)]}


def both(*filters: Mapping[str, Any]) -> dict[str, Any]:
    """All filters in one. It is flat where no name repeats, so that the server sees plain equalities."""
    given = [part for part in filters if part]
    names = [name for part in given for name in part]
    if len(set(names)) == len(names):
        return {name: value for part in given for name, value in part.items()}
    return {"$and": [dict(part) for part in given]}


_PYTHON: Mapping[str, Callable[[Any, Any], bool]] = {
    "in": lambda value, values: value in values or (isinstance(value, list) and any(v in values for v in value)),
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
    "contains": lambda value, text: folded(text) in folded(value),
    "starts_with": lambda value, text: folded(value).startswith(folded(text)),
    "has_any": lambda value, values: any(v in value for v in values),
    "has_all": lambda value, values: all(v in value for v in values),
}


def matches(condition: Condition, value_of: Callable[[str], Any]) -> bool:
    """Whether an object meets the condition. `value_of` reads its fields."""
    match condition:
        case Compare(field, "is_null", absent):
            return (value_of(field) is None) is absent
        case Compare(field, operator, expected):
            value = value_of(field)
            return value is not None and _PYTHON[operator](value, expected)
        case And(conditions):
            return all(matches(part, value_of) for part in conditions)
        case Or(conditions):
            return any(matches(part, value_of) for part in conditions)
        case Not(inner):
            return not matches(inner, value_of)


def may_match(condition: Condition, value_of: Callable[[str], Any], is_known: Callable[[str], bool]) -> bool | None:
    """Whether an object meets the condition, of which some fields are known; None where it depends on the others."""
    match condition:
        case Compare(field, _, _):
            return matches(condition, value_of) if is_known(field) else None
        case Not(inner):
            found = may_match(inner, value_of, is_known)
            return None if found is None else not found
        case And(conditions) | Or(conditions):
            decides = isinstance(condition, Or)
            found_of = {may_match(part, value_of, is_known) for part in conditions}
            return decides if decides in found_of else None if None in found_of else not decides


def fields_of(condition: Condition) -> frozenset[str]:
    """The fields that a condition compares."""
    match condition:
        case Compare(field, _, _):
            return frozenset((field,))
        case And(conditions) | Or(conditions):
            return frozenset().union(*(fields_of(part) for part in conditions))
        case Not(inner):
            return fields_of(inner)
