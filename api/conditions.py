"""Conditions on objects, as data: what filters compile to, and what a store turns into SQL or a MongoDB filter.

Fields have their Python names (`created_at`, `metadata.tags`). Three-valued logic stays out: a comparison with an
absent value is false and its negation true, in both stores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic.alias_generators import to_camel
from sqlalchemy import ColumnElement, String, and_, cast, false, func, not_, or_, true
from sqlalchemy.dialects.postgresql import ARRAY

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


def _like(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


_SQL: Mapping[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "in": lambda column, values: column.in_(values),
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "contains": lambda column, text: column.ilike(f"%{_like(text)}%"),
    "starts_with": lambda column, text: column.ilike(f"{_like(text)}%"),
    "has_any": lambda column, values: column.op("?|", is_comparison=True)(cast(list(values), ARRAY(String))),
    "is_null": lambda column, absent: column.is_(None) if absent else column.is_not(None),
    "has_all": lambda column, values: column.op("?&", is_comparison=True)(cast(list(values), ARRAY(String))),
}


def to_sql(condition: Condition, columns: Mapping[str, ColumnElement[Any]]) -> ColumnElement[bool]:
    """The condition as an SQL expression; `columns` says what each field stands for."""
    match condition:
        case Compare(field, operator, value):
            return _SQL[operator](columns[field], value)
        case And(()):
            return true()
        case And(conditions):
            return and_(*(to_sql(part, columns) for part in conditions))
        case Or(()):
            return false()
        case Or(conditions):
            return or_(*(to_sql(part, columns) for part in conditions))
        case Not(inner):
            return not_(func.coalesce(to_sql(inner, columns), False))


def _whole_millisecond(value: Any) -> Any:
    """A time rounded up to what BSON keeps: cut off, `< time` would miss the millisecond that it lies in."""
    surplus = value.microsecond % 1000 if isinstance(value, datetime) else 0
    if not surplus:
        return value
    try:
        return value + timedelta(microseconds=1000 - surplus)
    except OverflowError:  # the last millisecond there is
        return value


_MONGO: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "in": lambda values: {"$in": list(values)} if len(values) != 1 else {"$eq": values[0]},
    "gt": lambda value: {"$gt": value},
    "gte": lambda value: {"$gte": _whole_millisecond(value)},
    "lt": lambda value: {"$lt": _whole_millisecond(value)},
    "lte": lambda value: {"$lte": value},
    "contains": lambda text: {"$regex": re.escape(text), "$options": "i"},
    "starts_with": lambda text: {"$regex": f"^{re.escape(text)}", "$options": "i"},
    "has_any": lambda values: {"$in": list(values)},
    "is_null": lambda absent: {"$eq": None} if absent else {"$ne": None},
    "has_all": lambda values: {"$all": list(values)},
}


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
    """One filter of several, flat where no name repeats, so that the server sees plain equalities."""
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
    "contains": lambda value, text: text.lower() in value.lower(),
    "starts_with": lambda value, text: value.lower().startswith(text.lower()),
    "has_any": lambda value, values: any(v in value for v in values),
    "has_all": lambda value, values: all(v in value for v in values),
}


def matches(condition: Condition, value_of: Callable[[str], Any]) -> bool:
    """Whether one object meets the condition; `value_of` reads its fields."""
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


def fields_of(condition: Condition) -> frozenset[str]:
    """The fields that a condition looks at."""
    match condition:
        case Compare(field, _, _):
            return frozenset((field,))
        case And(conditions) | Or(conditions):
            return frozenset().union(*(fields_of(part) for part in conditions))
        case Not(inner):
            return fields_of(inner)
