"""Facets in both stores: one SELECT that reads the rows once, and one aggregation with `$facet`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    Double,
    Integer,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from api.lists.conditions import And, Shape, shape_of, shape_to_sql, stored_name, to_mongo
from api.lists.facets import LONGEST, Answer, Facets, NumberRange, ValueCount, most_frequent
from api.lists.histogram import WIDTHS, histogram
from api.lists.keyset import MAX_STATEMENTS, Table
from models.statements import Parameters, Record, Statement, compile_select

_WIDTHS: Final = f"'{{{','.join(map(str, WIDTHS))}}}'::bigint[]"


class FacetsShape(NamedTuple):
    """What the SQL of facets depends on; everything else is a parameter. Fields are in the order of their columns."""

    condition: Shape
    own: tuple[tuple[str, Shape], ...]
    counted: tuple[str, ...]
    """Fields whose values are counted, and numbers of which there is a histogram."""
    ranges: tuple[str, ...]
    """Numbers of which there is none."""


def facets_shape(facets: Facets, values: list[Any]) -> FacetsShape:
    """The shape of facets. The values of its parameters are appended to `values`."""
    condition = shape_of(facets.condition, values)
    own = tuple((name, shape_of(asked, values)) for name, asked in facets.own.items())
    counted = tuple(sorted(name for name, size in facets.sizes.items() if size))
    values += [facets.sizes[name] for name in counted]
    return FacetsShape(condition, own, counted, tuple(sorted(facets.sizes.keys() - set(counted))))


@lru_cache(MAX_STATEMENTS)
def select_facets(table: Table, shape: FacetsShape) -> Statement:
    """One row with a column for each field, which `answers_of` reads. The rows of the list are read once.

    Of lists in JSON, the texts are counted, each once a row; of whole numbers there is a range; of all else, the values
    are counted.
    """
    parameters = Parameters()
    return answering(matching(table, shape, parameters), shape, parameters)


def matching(
    table: Table, shape: FacetsShape, parameters: Parameters, values: Mapping[str, ColumnElement[Any]] | None = None
) -> Select[Any]:
    """The rows that facets are counted of, each with the fields, and with whether it is what is asked of each of them.

    `values` are counted in place of the columns of these names.
    """
    condition = shape_to_sql(shape.condition, table.columns, parameters.take)
    own = [shape_to_sql(asked, table.columns, parameters.take).label(f"own_{name}") for name, asked in shape.own]
    counted = {**table.columns, **(values or {})}
    columns = [counted[name].label(name) for name in (*shape.counted, *shape.ranges)]
    return select(*columns, *own).select_from(table.columns["id"].table).where(condition)


def answering(found: Select[Any], shape: FacetsShape, parameters: Parameters) -> Statement:
    """The statement that answers facets from these rows."""
    rows = found.cte("matching")
    answers: list[ColumnElement[Any]] = []
    for name in (*shape.counted, *shape.ranges):
        passes = and_(true(), *(rows.c[f"own_{other}"] for other, _ in shape.own if other != name))
        size = parameters.take(Integer()) if name in shape.counted else None
        answers.append(_answer(rows, rows.c[name], passes, size).label(name))
    return compile_select(select(*answers))


def _answer(
    rows: CTE, column: ColumnElement[Any], passes: ColumnElement[bool], size: ColumnElement[int] | None
) -> ColumnElement[Any]:
    if isinstance(column.type, Integer):
        return _range(column, passes, size)
    assert size is not None  # no other range is asked for
    if not isinstance(column.type, JSONB):
        by = column if isinstance(column.type, Boolean) else column.collate("C")
        return _pairs(
            select(column.label("value"), func.count().label("count")).where(passes).group_by(column), by, size
        )
    is_list = func.jsonb_typeof(column) == literal_column("'array'")
    parts = func.jsonb_array_elements(case((is_list, column), else_=literal_column("'[]'::jsonb"))).column_valued(
        "part"
    )
    text = func.left(parts.op("#>>")(literal_column("'{}'::text[]")), LONGEST, type_=Text())
    is_text = func.jsonb_typeof(parts) == literal_column("'string'")
    value = select(text.label("value")).where(is_text).distinct().lateral("texts").c.value
    chosen = select(value, func.count().label("count")).select_from(rows.join(value.table, true())).where(passes)
    return _pairs(chosen.group_by(value), value.collate("C"), size)


def _pairs(groups: Select[Any], by: ColumnElement[Any], size: ColumnElement[int]) -> ColumnElement[Any]:
    """The most frequent values, each with its count."""
    top = groups.order_by(func.count().desc(), by.asc().nulls_first()).limit(size).subquery("top")
    return select(func.jsonb_agg(func.jsonb_build_array(top.c.value, top.c.count), type_=JSONB())).scalar_subquery()


def _range(
    column: ColumnElement[Any], passes: ColumnElement[bool], size: ColumnElement[int] | None
) -> ColumnElement[Any]:
    """The smallest and the greatest number; with `size`, also a width and the counts by
    place (`api.lists.histogram`)."""
    bounds = (
        select(func.min(column).label("least"), func.max(column).label("greatest")).where(passes).subquery("bounds")
    )
    least, greatest = bounds.c.least, bounds.c.greatest
    if size is None:
        return select(func.jsonb_build_array(least, greatest, None, None, type_=JSONB())).scalar_subquery()
    widths = func.unnest(literal_column(_WIDTHS)).column_valued("width")
    fits = _place(greatest, widths) - _place(least, widths) < size
    width = select(func.min(widths).label("width")).where(fits).lateral("chosen").c.width
    place = _place(column, width).label("place")
    places = select(place, func.count().label("count")).where(passes).group_by(place).correlate(width.table)
    grouped = places.subquery("places")
    counts = select(func.jsonb_agg(func.jsonb_build_array(grouped.c.place, grouped.c.count))).scalar_subquery()
    found = func.jsonb_build_array(least, greatest, width, counts, type_=JSONB())
    return select(found).select_from(bounds.join(width.table, true())).scalar_subquery()


def _place(number: ColumnElement[Any], width: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(func.floor(cast(number, Double()) / cast(width, Double())), BigInteger())


def answers_of(row: Record, table: Table, facets: Facets) -> dict[str, Answer]:
    """The answer for each field in the row of `select_facets`."""
    answers: dict[str, Answer] = {}
    for name, size in facets.sizes.items():
        if isinstance(table.columns[name].type, Integer):
            least, greatest, width, counts = row[name]
            answers[name] = NumberRange(least, greatest, histogram(width or 1, dict(counts or ())))
        else:
            answers[name] = most_frequent(row[name] or (), size)
    return answers


def facets_stage(facets: Facets, ways: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The stages that answer facets with one document: by the number of the field, its most frequent values.

    `ways` has the stages for each field that turn the objects into one document for each `value` of each.
    """
    pipelines: dict[str, Any] = {}
    for number, (name, size) in enumerate(facets.sizes.items()):
        others = to_mongo(And(tuple(asked for other, asked in facets.own.items() if other != name)))
        pipelines[str(number)] = [
            *([{"$match": others}] if others else ()),
            *ways[name],
            {"$group": {"_id": "$value", "count": {"$sum": 1}}},
            {"$sort": {"count": -1, "_id": 1}},
            {"$limit": size},
        ]
    return [{"$match": to_mongo(facets.condition)}, {"$facet": pipelines}]


def answers_in(document: Mapping[str, Any], facets: Facets) -> dict[str, Sequence[ValueCount]]:
    """The answer for each field in the document of `facets_stage`."""
    return {
        name: most_frequent(((each["_id"], each["count"]) for each in document[str(number)]), size)
        for number, (name, size) in enumerate(facets.sizes.items())
    }


def one_of(field: str, values: Sequence[str]) -> list[dict[str, Any]]:
    """The way to a text that is one of a few; whatever else is stored is left out."""
    path = f"${stored_name(field)}"
    return [{"$match": {"$expr": {"$in": [path, list(values)]}}}, {"$project": {"value": path}}]


def texts_in(field: str) -> list[dict[str, Any]]:
    """The way to the texts in a list, each once; whatever else is stored is left out."""
    path = f"${stored_name(field)}"
    # the list is chosen before anything is done with it: some engines do both whatever it is
    parts = {"$setUnion": [{"$cond": [{"$isArray": path}, path, []]}, []]}
    return [
        {"$project": {"value": parts}},
        {"$unwind": "$value"},
        {"$match": {"$expr": {"$eq": [{"$type": "$value"}, "string"]}}},
        {"$project": {"value": {"$substrCP": ["$value", 0, LONGEST]}}},
    ]
