"""Translating a filter of the audit log to conditions on each store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from bson import ObjectId

from api.audit.entry import DESIGNS
from api.ids import decode_id
from api.lists.conditions import And, Compare, Condition, Not, Or
from api.rights.policies import EVERYTHING, NOTHING


def in_log(condition: Condition) -> Condition:
    """The condition on `audit.audit_log`; NOTHING where no row can meet it. Raises BadUserInput for malformed ids."""

    def translate(compare: Compare) -> Condition:
        match compare:
            case Compare("record_id", "in", ids):
                return _one_of("record_id", [key for key in _keys(ids) if isinstance(key, UUID)])
            case Compare("kind", "in", kinds):
                return _one_of("kind", [kind for kind in kinds if kind != DESIGNS])
        return compare

    return _translated(condition, translate)


def in_versions(condition: Condition) -> Condition:
    """The condition on versions of designs; NOTHING where none can meet it. Raises BadUserInput for malformed ids."""

    def translate(compare: Compare) -> Condition:
        match compare:
            case Compare("record_id", "in", ids):
                return _one_of("record_id", [key for key in _keys(ids) if isinstance(key, ObjectId)])
            case Compare("kind", "in", kinds):
                return EVERYTHING if DESIGNS in kinds else NOTHING
            case Compare("actor_id", "in", actors):
                return _one_of("actor_id", [str(actor) for actor in actors])
            case Compare("at", "gt" | "gte" | "lt" | "lte" as operator, moment) if moment.microsecond % 1000:
                # BSON would cut the microseconds off
                return Compare("at", "gt" if operator in ("gt", "gte") else "lte", _milliseconds(moment))
        return compare

    return _translated(condition, translate)


def _keys(ids: Sequence[str]) -> list[Any]:
    return [decode_id(id)[1] for id in ids]


def _milliseconds(moment: datetime) -> datetime:
    return moment - timedelta(microseconds=moment.microsecond % 1000)


def _one_of(field: str, values: Sequence[Any]) -> Condition:
    return Compare(field, "in", tuple(values)) if values else NOTHING


def _translated(condition: Condition, translate: Callable[[Compare], Condition]) -> Condition:
    match condition:
        case And(conditions):
            return _simple(And, [_translated(part, translate) for part in conditions])
        case Or(conditions):
            return _simple(Or, [_translated(part, translate) for part in conditions])
        case Not(inner):
            match _translated(inner, translate):
                case And(()):
                    return NOTHING
                case Or(()):
                    return EVERYTHING
                case other:
                    return Not(other)
        case Compare():
            return translate(condition)


def _simple(combine: type[And] | type[Or], parts: Sequence[Condition]) -> Condition:
    """The combination without parts that don't matter."""
    neutral, decisive = (EVERYTHING, NOTHING) if combine is And else (NOTHING, EVERYTHING)
    if decisive in parts:
        return decisive
    rest = tuple(part for part in parts if part != neutral)
    return rest[0] if len(rest) == 1 else combine(rest)
